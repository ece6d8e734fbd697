#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much of the library the tests run: lines and branches of include/bimtdp by room.

    tests/coverage.py [--build build/coverage] [--missing]

Builds the tests and examples with clang++ (CXX names another one; needs its llvm-profdata and llvm-cov, Debian's package llvm),
runs them on every tier of this CPU and adds up: a line of a template counts as run where one instance ran it, a branch is a
condition that was true, or false. Lines of tiers that this CPU has not are left out. Exit status 1: below the goals, which are
97 % of all lines, and 95 % of the branches of io and of the graph's checks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Set, Tuple

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARY = REPOSITORY / "include" / "bimtdp"
COMPILER = os.environ.get("CXX", "clang++")
LINES, BRANCHES = 97.0, 95.0
CHECKED = ("io", "graph")  # whose branches are checks of what files and callers say
# Tests that build something of their own, or look at the tree.
LEFT_OUT = "headers_stand_alone|consumer|install|neon|tree|two_units|plugin|programs"


class Counts(NamedTuple):
    """Of a file: what there is, and what was never reached."""

    lines: Set[int]
    missed_lines: Set[int]
    branches: Set[Tuple[int, ...]]
    missed_branches: Set[Tuple[int, ...]]


def run(command: Iterable[object], **options) -> str:
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def tool(name: str) -> str:
    """The program of LLVM that belongs to the compiler."""
    path = run([COMPILER, f"-print-prog-name={name}"]).strip()
    if not shutil.which(path):
        sys.exit(f"coverage.py: {name} of {COMPILER} is not installed: Debian's package is llvm")
    return path


def build(folder: Path) -> None:
    flags = "-O1 -fprofile-instr-generate -fcoverage-mapping"
    cmake = ["cmake", "-S", REPOSITORY, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={COMPILER}"]
    subprocess.run([*map(str, cmake), f"-DCMAKE_CXX_FLAGS_DEBUG={flags}"], check=True)
    subprocess.run(["cmake", "--build", folder, "-j", str(os.cpu_count())], check=True)


def run_tests(folder: Path) -> Path:
    """Runs all tests; returns their merged profile."""
    profiles = folder / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(profiles / "%m_%p.profraw")}
    ctest = ["ctest", "--test-dir", folder, "-j", os.cpu_count(), "-E", LEFT_OUT, "--output-on-failure"]
    subprocess.run([str(word) for word in ctest], check=True, env=environment)
    merged = folder / "tests.profdata"
    run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *sorted(profiles.glob("*.profraw"))])
    return merged


def programs(folder: Path) -> List[Path]:
    """What was built, in the order of names."""
    files = [path for part in ("tests", "examples") for path in (folder / part).iterdir()]
    return sorted(path for path in files if path.is_file() and os.access(path, os.X_OK))


def export(folder: Path, merged: Path, form: str) -> str:
    first, *others = programs(folder)
    objects = [word for path in others for word in ("-object", path)]
    return run([tool("llvm-cov"), "export", f"-format={form}", f"-instr-profile={merged}", first, *objects, LIBRARY])


def read_counts(folder: Path, merged: Path) -> Dict[Path, Counts]:
    """By file of the library."""
    counts: Dict[Path, Counts] = defaultdict(lambda: Counts(set(), set(), set(), set()))
    for line in export(folder, merged, "lcov").splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            path = Path(rest)
        elif kind == "DA":
            number, count = map(int, rest.split(","))
            counts[path].lines.add(number)
            if count == 0:
                counts[path].missed_lines.add(number)
    for file in json.loads(export(folder, merged, "text"))["data"][0]["files"]:
        times: Dict[Tuple[int, ...], int] = defaultdict(int)  # a template's branches come once an instance
        for *place, true, false, _, _, _ in file["branches"]:
            times[(*place, 1)] += true
            times[(*place, 0)] += false
        counts[Path(file["filename"])].branches.update(times)
        counts[Path(file["filename"])].missed_branches.update(place for place, count in times.items() if count == 0)
    return counts


def runnable_tiers(folder: Path) -> Set[str]:
    """The tiers of this CPU, as the library names them where it is asked for one that does not exist."""
    environment = {**os.environ, "BIMTDP_ISA": "none", "LLVM_PROFILE_FILE": "/dev/null"}
    model = next((REPOSITORY / "examples" / "models").glob("*.safetensors"))
    said = subprocess.run(
        [str(folder / "examples" / "minimal"), str(model)], capture_output=True, text=True, env=environment
    ).stderr
    return set(re.findall(r"\w+", said.split("choices:")[1]))


def percent(part: int, whole: int) -> str:
    return f"{100 * (whole - part) / whole:6.1f} % of {whole:5d}" if whole else f"{'-':>17}"


def list_missing(path: Path, found: Counts) -> None:
    branches = sorted({line for line, *_ in found.missed_branches} - found.missed_lines)
    if found.missed_lines or branches:
        print(f"{path.relative_to(LIBRARY)}: lines {sorted(found.missed_lines)}, branches on lines {branches}")


def report(counts: Dict[Path, Counts]) -> bool:
    """Prints the table; True where the goals are reached."""
    rooms: Dict[str, List[Counts]] = defaultdict(list)
    for path, found in sorted(counts.items()):
        rooms[path.relative_to(LIBRARY).parts[0]].append(found)
    rooms["all"] = list(counts.values())
    reached = True
    for room, files in rooms.items():
        lines, missed_lines, branches, missed_branches = (sum(len(found[i]) for found in files) for i in range(4))
        print(f"{room:12} lines {percent(missed_lines, lines)}   branches {percent(missed_branches, branches)}")
        reached &= room != "all" or missed_lines <= (1 - LINES / 100) * lines
        reached &= room not in CHECKED or missed_branches <= (1 - BRANCHES / 100) * branches
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build" / "coverage")
    parser.add_argument("--missing", action="store_true", help="also list what was never reached")
    arguments = parser.parse_args()
    build(arguments.build)
    counts = read_counts(arguments.build, run_tests(arguments.build))
    tiers = runnable_tiers(arguments.build)
    foreign = [path for path in counts if path.stem.startswith("lanes_") and path.stem[6:] not in tiers]
    for path in foreign:
        print(f"left out: {path.relative_to(LIBRARY)}, for this CPU has not its instructions")
        del counts[path]
    if arguments.missing:
        for path, found in sorted(counts.items()):
            list_missing(path, found)
    return 0 if report(counts) else 1


if __name__ == "__main__":
    sys.exit(main())
