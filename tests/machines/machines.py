#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the library for every machine, compiler and option in reach, runs it and holds the results to the same digests.

    tests/machines/machines.py [--list] [--xsimd DIR] [--only TEXT ...]

Every way compiles digests.cpp, runs it, under an emulator where the machine is another one, and compares random networks of all
operations and the shipped models, on every tier there, with digests.txt. A way whose compiler or emulator is missing is left
out (`--packages` lists what Debian has of them). A run of all ways writes the table of README.md beside this file; about half
an hour on two cores. Exit status 1: a way failed.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BUILD = REPOSITORY / "build" / "machines"
MODELS = sorted((REPOSITORY / "examples" / "models").glob("*.safetensors"))
PACKAGES = """clang clang-19 libc++-19-dev libc++abi-19-dev qemu-user wine64 g++-aarch64-linux-gnu g++-arm-linux-gnueabihf
g++-riscv64-linux-gnu g++-i686-linux-gnu g++-s390x-linux-gnu g++-mingw-w64-x86-64-posix""".split()

UNITY = "-DUNITY"  # for this script alone: one file with everything, the library header-only


class Way(NamedTuple):
    """How the library is built and where it runs. ``refusal``: what the compiler must say, where there must be no program."""

    machine: str
    compiler: str
    flags: str = "-O2"
    runner: str = ""
    refusal: str = ""

    def __str__(self) -> str:
        return f"{self.machine}: {self.compiler} {self.flags}"


def cpu_name() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "this CPU"


def ways(xsimd: Optional[Path]) -> List[Way]:
    """All of them; the first one, header-only, is what users of one file have."""
    here = f"{platform.machine()}, {cpu_name()}"
    native = [Way(here, "g++", flags) for flags in (f"{UNITY} -O2", "-O0", "-Og", "-O2", "-O3", "-O3 -march=native")]
    native += [Way(here, "g++", flags) for flags in ("-O3 -flto=auto", "-O2 -std=c++23")]
    native += [Way(here, "clang++", flags) for flags in ("-O0", "-O3")]
    native += [Way(here, "clang++-19", flags) for flags in ("-O2", "-O3 -march=native", "-O2 -std=c++23 -stdlib=libc++")]
    native.append(Way(here, "g++", "-O2 -fno-exceptions", refusal="bimtdp reports errors by exceptions"))
    if xsimd:
        native.append(Way(here + ", newest xsimd", "g++", f"-O2 -isystem {xsimd}"))
    cpus = [Way(cpu, "g++", "-O2 -static", f"qemu-x86_64 -cpu {cpu}") for cpu in ("Nehalem", "Denverton", "Haswell", "EPYC")]
    others = [
        Way("64-bit Arm", "aarch64-linux-gnu-g++", "-O2 -static", "qemu-aarch64"),
        Way("64-bit Arm", "clang++-19", "-O2 -static --target=aarch64-linux-gnu", "qemu-aarch64"),
        Way("32-bit Arm", "arm-linux-gnueabihf-g++", "-O2 -static", "qemu-arm"),
        Way("RISC-V", "riscv64-linux-gnu-g++", "-O2 -static", "qemu-riscv64"),
        Way("32-bit x86", "i686-linux-gnu-g++", "-O2 -static -msse2 -mfpmath=sse", "qemu-i386"),
        Way("32-bit x86", "i686-linux-gnu-g++", "-O2 -static", refusal="bimtdp needs floats that are rounded to their type"),
        Way("s390x", "s390x-linux-gnu-g++", "-O2 -static", refusal="bimtdp copies little-endian files into memory as they are"),
        Way("Windows", "x86_64-w64-mingw32-g++-posix", "-O2 -static", "wine64"),
    ]
    return native + cpus + others


def program(name: str) -> Optional[str]:
    """Where a program is; Debian's Wine stands beside the others."""
    return shutil.which(name) or shutil.which(name, path="/usr/lib/wine")


def run(command: List[str], log: Path) -> bool:
    """Runs a command and appends what it says to a log."""
    environment = {**os.environ, "WINEDEBUG": "-all", "WINEPREFIX": str(BUILD / "wine"), "LANG": "C.UTF-8"}
    with log.open("a") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode == 0


def sources(unity: bool) -> List[Path]:
    """The program, what it shares with the tests, and the library compiled once; or all of it as one file."""
    own = [HERE / "digests.cpp", HERE.parent / "random_network.cpp", HERE.parent / "reference_run.cpp"]
    contents = {f"{part.replace('/', '_')}.cpp": f"#include <bimtdp/{part}.hpp>\n" for part in ("definitions", "kernels/tiers")}
    if unity:
        own, contents = [], {"unity.cpp": "".join(f'#include "{file}"\n' for file in own)}
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (BUILD / name).write_text(text)
    return own + [BUILD / name for name in contents]


def third_parties() -> Path:
    """Headers that stand among those of this machine, of which another machine's compiler must see no more."""
    folder = BUILD / "include"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("xsimd", "nlohmann", "xxhash.h"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"/usr/include/{name}")
    return folder


def compile_way(way: Way, folder: Path, log: Path) -> bool:
    """Compiles all files side by side and links them."""
    command = [way.compiler, "-std=c++20", *way.flags.split()]
    options = ["-Wall", "-Wextra", "-Werror", "-Wfatal-errors", f"-I{REPOSITORY}/include", f"-I{HERE.parent}"]
    # False alarms: of g++ 12, and of newer clangs in its library.
    options.append("-Wno-deprecated-declarations" if "clang" in way.compiler else "-Wno-restrict")
    options += ["-isystem", str(third_parties())] + ([] if UNITY in command else ["-DBIMTDP_COMPILED"])
    files = sources(UNITY in command)
    objects = [folder / f"{file.stem}.o" for file in files]

    def compile_file(pair: Tuple[Path, Path]) -> bool:
        return run([*command, *options, "-c", str(pair[0]), "-o", str(pair[1])], log)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all(list(pool.map(compile_file, zip(files, objects)))):
            return False
    return run([*command, *map(str, objects), "-pthread", "-o", str(folder / "digests.exe")], log)


@functools.lru_cache(maxsize=None)
def built(way: Way) -> Tuple[Path, bool]:
    """The folder of a way's program, built once for all CPUs that run it, and whether there is one."""
    folder = BUILD / re.sub(r"[^A-Za-z0-9+]+", "_", f"{way.compiler} {way.flags}").strip("_")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder, compile_way(way, folder, folder / "log")


def result_of(way: Way) -> str:
    """What came of it: the tiers whose digests agree; or what failed, beginning with "FAILED"."""
    folder, compiled = built(way._replace(machine="", runner="", refusal=""))
    log = folder / "log"
    if way.refusal:
        refused = not compiled and way.refusal in log.read_text()
        return f"refused: {way.refusal}" if refused else f"FAILED: is not refused, see {log}"
    if not compiled:
        return f"FAILED: does not compile, see {log}"
    log = folder / f"{way.machine}.log"
    runner = [program(way.runner.split()[0]), *way.runner.split()[1:]] if way.runner else []
    arguments = [str(HERE / "digests.txt"), *map(str, MODELS)]
    log.unlink(missing_ok=True)
    ran = run([*map(str, runner), str(folder / "digests.exe"), *arguments], log)
    tiers = re.findall(r"^(\w+): \d+ digests as everywhere", log.read_text(), re.MULTILINE)
    return ", ".join(tiers) if ran and tiers else f"FAILED: see {log}"


def version(compiler: str) -> str:
    """A compiler's own words for what it is, without its vendor's."""
    text = subprocess.run(
        [compiler, "-dumpfullversion" if "g++" in compiler and "clang" not in compiler else "-dumpversion"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    return f"{compiler} ({text})"


def table(results: Dict[Way, str]) -> str:
    """The results in Markdown."""
    lines = ["| machine | compiler | options | runs on | same bits on the tiers |", "|---|---|---|---|---|"]
    for way, result in results.items():
        flags = " ".join(flag for flag in way.flags.split() if flag != "-isystem" and not flag.startswith("/"))
        runs_on = "-" if way.refusal else way.runner or "itself"
        lines.append(f"| {way.machine} | {version(way.compiler)} | `{flags}` | {runs_on} | {result} |")
    return "\n".join(lines)


def write_table(results: Dict[Way, str]) -> None:
    """Puts the table between the markers of README.md."""
    readme = HERE / "README.md"
    begin, end = "<!-- machines -->\n", "<!-- /machines -->"
    before, rest = readme.read_text().split(begin)
    readme.write_text(before + begin + table(results) + "\n" + end + rest.split(end)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the ways")
    parser.add_argument("--packages", action="store_true", help="print the Debian packages that all ways need")
    parser.add_argument("--xsimd", type=Path, help="include folder of a newer xsimd, for one more way")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="the ways that hold one of these texts")
    arguments = parser.parse_args()
    chosen = [way for way in ways(arguments.xsimd) if not arguments.only or any(text in str(way) for text in arguments.only)]
    if arguments.list or arguments.packages:
        print(" ".join(PACKAGES) if arguments.packages else "\n".join(map(str, chosen)))
        return 0
    results: Dict[Way, str] = {}
    for index, way in enumerate(chosen, 1):
        missing = [name for name in (way.compiler, *way.runner.split()[:1]) if not program(name)]
        if missing:
            print(f"{index}/{len(chosen)} {way}: {missing[0]} is not installed: left out", flush=True)
            continue
        started = time.monotonic()
        results[way] = result_of(way)
        print(f"{index}/{len(chosen)} {way}: {results[way]} ({time.monotonic() - started:.0f} s)", flush=True)
        if not arguments.only:
            write_table(results)
    return 1 if any(result.startswith("FAILED") for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
