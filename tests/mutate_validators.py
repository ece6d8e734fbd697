#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the tests would notice a validator that checks too little or too much.

    tests/mutate_validators.py [--build build/release] [--only graph/graph.inl ...] [--list]

Every check of the headers below is changed in every way that a slip would: the check or one operand of && and || left out,
< for <=, == for !=, a bound higher by 1. All mutants are compiled at once, into a copy of the headers where each asks at run
time whether it is the active one; so each test program is compiled once and run once per mutant that it reaches. Survivors
are listed; those of accepted_mutants.txt are known, each with a reason. Exit status 1: others survive, or one of the list no
longer does. Needs a build folder of CMake and Ninja that has bimtdp_compiled and bimtdp_test_main.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from tqdm import tqdm

REPOSITORY = Path(__file__).resolve().parent.parent
ACCEPTED = Path(__file__).with_name("accepted_mutants.txt")
HEADERS = """graph/nodes/*.hpp graph/graph.inl graph/weights.hpp graph/dataflow.inl core/shape.hpp ops/window_stretches.hpp
ops/binary_counts.hpp ops/binary_attention.hpp io/safetensors.hpp io/json_fields.hpp io/json.inl io/node_json.hpp io/model_json.inl
io/model_info.hpp io/sniff.hpp io/self_test.hpp io/dtype.hpp io/model.inl""".split()
PROGRAMS = """node_inputs node_fields graph_limits geometry graph sniff safetensors json model bad_models text window_stretches
binary_conv2d binary_attention plan random_networks""".split()
FILTERS = {"bad_models": "every malformed*,an error says*"}  # the other cases flip every bit and take minutes
# Calls whose first argument must hold, and calls that check something themselves.
CONDITIONS = r"(?:demand|check_file)"
VALIDATORS = """check_\\w+ inputs_between input_type input_channels float_inputs float_or_bits residual extents? floats
optional_floats signs count_idle_lanes epilogue activation use exists channels same_shape same_size one_float_input finish"""
CALL = rf"(?:\(void\))?(?:\w+(?:\.|::|->))*(?:{CONDITIONS}|{'|'.join(VALIDATORS.split())}|fail)\("
FLIPS = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "==": "!=", "!=": "=="}
MEMORY = 4 << 30  # bytes that a test program may have


class Mutant(NamedTuple):
    """One change; ``original`` and ``change`` with the number of equal ones before name it in accepted_mutants.txt."""

    file: str
    line: int
    original: str
    change: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.original}: {self.change}"


# -- finding the parts of C++ -----------------------------------------------------------------------------------------


def closing(text: str, at: int) -> int:
    """The place of the bracket that closes the one at ``at``."""
    depth = 0
    for place, character in characters(text, at):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return place
    raise ValueError(f"an open bracket: {text[at : at + 80]}")


def characters(text: str, start: int = 0) -> Iterator[Tuple[int, str]]:
    """The characters outside strings, character literals and comments."""
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|(.)', text[start:], re.S):
        if match[1]:
            yield start + match.start(), match[1]


def split(text: str, separator: str) -> List[str]:
    """The parts of an expression at the separators outside brackets."""
    parts, begin, depth = [], 0, 0
    for place, character in characters(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and text.startswith(separator, place):
            parts.append(text[begin:place])
            begin = place + len(separator)
    return [*parts, text[begin:]]


# -- making mutants ---------------------------------------------------------------------------------------------------


class Mutator:
    """Rewrites headers so that ``mutate::on(n)`` turns mutant n on."""

    def __init__(self) -> None:
        self.mutants: List[Mutant] = []
        self.file, self.line = "", 0

    def on(self, original: str, change: str) -> str:
        original = " ".join(original.split())
        before = sum(m.file == self.file and m.original == original and m.change.startswith(change) for m in self.mutants)
        change += f" ({before + 1})" if before else ""
        self.mutants.append(Mutant(self.file, self.line, original, change))
        return f"mutate::on({len(self.mutants) - 1})"

    def condition(self, text: str) -> str:
        """A condition with all its mutants but its own absence."""
        for operator, neutral in (("||", "false"), ("&&", "true")):
            operands = split(text, f" {operator} " if f" {operator} " in text else operator)
            if len(operands) > 1:
                changed = []
                for operand in operands:
                    off = self.on(text, f"without {' '.join(operand.split())}")
                    inner = self.condition(operand)
                    changed.append(f"({off} || ({inner}))" if neutral == "true" else f"(!{off} && ({inner}))")
                return f" {operator} ".join(changed)
        bare = text.strip()
        for prefix in ("!(", "("):
            if bare.startswith(prefix) and closing(bare, len(prefix) - 1) == len(bare) - 1:
                return prefix + self.condition(bare[len(prefix) : -1]) + ")"
        if len(split(text, " ? ")) > 1:
            return text
        return self.comparison(bare)

    def comparison(self, text: str) -> str:
        for operator, flipped in FLIPS.items():
            sides = split(text, f" {operator} ")
            if len(sides) != 2:
                continue
            left, right = (f"({side.strip()})" for side in sides)
            result = f"({left} {operator} {right})"
            changes = [(f"{flipped} for {operator}", f"{left} {flipped} {right}")]
            if operator == "<=":
                changes.append(("a bound higher by 1", f"{left} <= mutate::next({right})"))
            if operator == ">=":
                changes.append(("a bound lower by 1", f"mutate::next({left}) >= {right}"))
            for change, code in changes:
                result = f"({self.on(text, change)} ? {code} : {result})"
            return result
        return f"({self.on(text, 'the opposite')} != static_cast<bool>({text}))"

    def header(self, file: str, text: str) -> str:
        """The header with all its mutants."""
        self.file = file
        flags = self.flags(text)
        parts, at = [], 0
        pattern = rf"(?<=[;{{}})\n])(\s*)({CALL})|\bconst bool (\w+) = |(?<=[=,] )(c\.one_float_input\(\))|(?<=\bif )\("
        for match in re.finditer(pattern, text):
            if match.start() < at:
                continue
            self.line = text.count("\n", 0, match.end(1) if match[2] else match.start()) + 1
            if match[2]:
                begin, end, code = self.call(text, match.end(1), match.end(2) - 1)
            elif match[3]:
                begin, end = match.end(), match.end() + len(split(text[match.end() :], ";")[0])
                code = self.condition(text[begin:end]) if match[3] in flags else None
            elif match[4]:
                begin, end = match.span(4)
                code = f"({self.on(match[4], 'no check')} ? c.input(0).channels : {match[4]})"
            else:
                begin, end, code = self.branch(text, match.start())
            if code is not None:
                parts += [text[at:begin], code]
                at = end
        return "".join(parts) + text[at:]

    @staticmethod
    def flags(text: str) -> Set[str]:
        """Names of booleans on which a check depends."""
        found: Set[str] = set()
        for match in re.finditer(rf"\b{CONDITIONS}\(", text):
            found.update(re.findall(r"\w+", split(text[match.end() : closing(text, match.end() - 1)], ",")[0]))
        for match in re.finditer(r"\bif (\()", text):
            found.update(re.findall(r"\w+", text[match.end() : closing(text, match.start(1))]))
        return found

    def call(self, text: str, begin: int, bracket: int) -> Tuple[int, int, Optional[str]]:
        """A call that checks, if it is a statement; (begin, end, new code)."""
        end = closing(text, bracket) + 1
        name = re.search(r"(\w+)$", text[:bracket])[1]
        if text[end : end + 1] != ";" or name == "fail":
            return begin, end, None
        if re.fullmatch(CONDITIONS, name):
            condition = split(text[bracket + 1 : end - 1], ",")[0]
            gone = self.on(condition, "no check")
            return bracket + 1, bracket + 1 + len(condition), f"({gone} || ({self.condition(condition)}))"
        return begin, end, f"({self.on(text[begin:end], 'no check')} ? void() : void({text[begin:end]}))"

    def branch(self, text: str, bracket: int) -> Tuple[int, int, Optional[str]]:
        """The condition of an if before a check or a complaint."""
        end = closing(text, bracket)
        if not re.match(rf"\)\s*(?:\[\[\w+\]\]\s*)?{{?\s*{CALL}", text[end:]):
            return bracket, end, None
        condition = text[bracket + 1 : end]
        never = self.on(f"if ({condition})", "never")
        return bracket + 1, end, f"!{never} && ({self.condition(condition)})"


SWITCH = """#pragma once
#include <cstdio>
#include <cstdlib>
#include <type_traits>
namespace mutate {
struct State {
  int active = std::getenv("MUTANT") ? std::atoi(std::getenv("MUTANT")) : -1;
  bool reached[%d] = {};
  ~State() {
    const char* name = std::getenv("MUTANTS_REACHED");
    std::FILE* file = name ? std::fopen(name, "w") : nullptr;
    if (file == nullptr) return;
    for (int n = 0; n < %d; ++n) if (reached[n]) std::fprintf(file, "%%d\\n", n);
    std::fclose(file);
  }
};
inline State state;
inline bool running(int n) { state.reached[n] = true; return n == state.active; }
template <class T>
constexpr auto next(const T& value) {
  if constexpr (std::is_enum_v<T>) return static_cast<T>(static_cast<int>(value) + 1);
  else return value + 1;
}
constexpr bool on(int n) { return !std::is_constant_evaluated() && running(n); }
}
"""


def write_mutants(folder: Path, only: List[str]) -> List[Mutant]:
    """A copy of the library with all mutants of the headers; returns them."""
    shutil.copytree(REPOSITORY / "include", folder)
    mutator = Mutator()
    for pattern in only or HEADERS:
        for path in sorted((folder / "bimtdp").glob(pattern)):
            text = mutator.header(str(path.relative_to(folder / "bimtdp")), path.read_text())
            path.write_text(text.replace("#pragma once\n", "#pragma once\n#include <mutate.hpp>\n", 1))
    count = len(mutator.mutants)
    (folder / "mutate.hpp").write_text(SWITCH % (max(count, 1), count))
    return mutator.mutants


# -- running the tests ------------------------------------------------------------------------------------------------


class Program(NamedTuple):
    """A test program, the seconds that it takes and the mutants that it reaches."""

    path: Path
    seconds: float
    reached: Set[int]


def compiling(name: str, build: Path, folder: Path) -> Tuple[List[str], str]:
    """How the build folder compiles the test program, but with the mutants and sooner; and its source."""
    target = f"test_{name}"
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", target], check=True, capture_output=True, text=True).stdout
    commands = [line for line in lines.splitlines() if f"{target}.cpp.o" in line]
    (command,) = (shlex.split(line) for line in commands if f"{target}.cpp" in line and " -c " in line)
    at = command.index("-c")
    include = str(REPOSITORY / "include")
    options = [option.replace(include, str(folder / "include")) for option in command[: at - 1] if not option.startswith("-O")]
    options = [option for option in options if option not in ("-o", "-MD", "-MT", "-MF") and not option.endswith((".o", ".o.d"))]
    return [*options, "-O1", "-w"], command[at + 1]


def compile_definitions(build: Path, folder: Path) -> None:
    """What the library defines once, with the mutants."""
    options, _ = compiling(PROGRAMS[0], build, folder)
    (folder / "definitions.cpp").write_text("#include <bimtdp/definitions.hpp>\n")
    subprocess.run([*options, "-c", folder / "definitions.cpp", "-o", folder / "definitions.o"], check=True, cwd=build)


def compile_program(name: str, build: Path, folder: Path) -> Path:
    """The test program with the mutants. Its objects come before the libraries, so that the linker takes what they define."""
    options, source = compiling(name, build, folder)
    program = folder / f"test_{name}"
    libraries = [folder / "definitions.o", build / "tests/libbimtdp_test_main.a", build / "libbimtdp_compiled.a"]
    subprocess.run([*options, source, "-o", program, *libraries, "-pthread"], check=True, cwd=build)
    return program


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_tests(program: Path, seconds: float, **variables: str) -> bool:
    """Whether all tests pass in the time."""
    environment = {**os.environ, **variables}
    arguments = [FILTERS[name]] if (name := program.name[len("test_") :]) in FILTERS else []
    try:
        done = subprocess.run(
            [program, "--abort", *arguments], env=environment, preexec_fn=limit, timeout=seconds, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def examine(path: Path) -> Program:
    """Runs a program without a mutant."""
    reached, started = path.with_suffix(".reached"), time.time()
    if not run_tests(path, 600, MUTANTS_REACHED=str(reached)):
        raise SystemExit(f"{path.name} fails without a mutant: run its target of the build folder")
    return Program(path, time.time() - started, set(map(int, reached.read_text().split())))


def survives(number: int, programs: List[Program]) -> bool:
    """Whether no test notices the mutant."""
    return all(run_tests(p.path, 20 + 10 * p.seconds, MUTANT=str(number)) for p in programs if number in p.reached)


def read_accepted() -> Dict[Tuple[str, str, str], str]:
    """(file, original, change) -> reason."""
    lines = [line for line in ACCEPTED.read_text().splitlines() if line and not line.startswith("#")]
    return {tuple(line.split("\t")[:3]): line.split("\t")[3] for line in lines}


def report(mutants: List[Mutant], survivors: List[int], reached: Set[int], headers: Set[str]) -> int:
    """Prints what survived; the number of problems."""
    accepted = read_accepted()
    keys = {(mutants[n].file, *mutants[n][2:]) for n in survivors}
    unknown = [n for n in survivors if (mutants[n].file, *mutants[n][2:]) not in accepted]
    stale = [key for key in accepted if key[0] in headers and key not in keys]
    for number in unknown:
        print(f"survives: {mutants[number]}{'' if number in reached else ' (no test reaches it)'}")
    for key in stale:
        print(f"{ACCEPTED.name}: does not survive: {': '.join(key)}")
    killed = len(mutants) - len(survivors)
    print(f"{len(mutants)} mutants, {killed} killed, {len(survivors)} survive, {len(survivors) - len(unknown)} of them accepted")
    return len(unknown) + len(stale)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build/release", help="build folder (default: build/release)")
    parser.add_argument("--only", nargs="+", default=[], metavar="HEADER", help="headers below include/bimtdp")
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="programs at a time (default: all cores)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bimtdp-mutants-") as temporary, ThreadPoolExecutor(arguments.jobs) as pool:
        folder, build = Path(temporary), arguments.build.resolve()
        mutants = write_mutants(folder / "include", arguments.only)
        if arguments.list:
            print(*mutants, sep="\n")
            return 0
        names = [name for name in PROGRAMS if (REPOSITORY / f"tests/test_{name}.cpp").exists()]
        compile_definitions(build, folder)
        compiled = pool.map(lambda name: compile_program(name, build, folder), names)
        programs = [examine(path) for path in tqdm(compiled, "compiling", len(names), dynamic_ncols=True)]
        programs.sort(key=lambda program: program.seconds)
        outcomes = pool.map(lambda number: survives(number, programs), range(len(mutants)))
        outcomes = list(tqdm(outcomes, "mutants", len(mutants), dynamic_ncols=True))
    reached = set().union(*(program.reached for program in programs))
    headers = {mutant.file for mutant in mutants}
    return int(report(mutants, [n for n, survived in enumerate(outcomes) if survived], reached, headers) > 0)


if __name__ == "__main__":
    sys.exit(main())
