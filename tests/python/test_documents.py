# SPDX-License-Identifier: Apache-2.0
"""Every command in a document is run, or, where that takes data or hours, read by its own program, and its files are there.

C++ and CMake of the READMEs are compiled by tests/documents. A language or a program that no test knows is refused.
"""

import argparse
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

BUILD = os.environ.get("BIMTDP_BUILD_DIR")
FOLDERS = ("benchmarks", "examples", "include", "scripts", "tests")
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.md"))])


def blocks(document: Path) -> list:
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(text: str) -> list:
    """The commands of a shell block without comments, variables before them and substitutions."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r"\$\(.*?\)", "", line), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while re.fullmatch(r"[A-Z_]+=\S*", command[0]):
                command = command[1:]
            found.append(command)
    return found


ALL = sorted(
    {
        (document.relative_to(REPOSITORY).as_posix(), shlex.join(command))
        for document in DOCUMENTS
        for language, text in blocks(document)
        if language == "sh"
        for command in commands(text)
    }
)


class Parsed(Exception):
    """The program has understood its arguments."""


def check_python(words: list, monkeypatch) -> None:
    """The program's own parser takes the arguments."""
    original = argparse.ArgumentParser.parse_args

    def parse(parser, arguments=None, namespace=None):
        original(parser, arguments, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Parsed):
        runpy.run_path(str(REPOSITORY / words[0]), run_name="__main__")
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    assert re.search(rf"\b{Path(words[0]).stem}\b", tests), "no test runs this program"


def check_shell(script: str, words: list) -> None:
    usage = subprocess.run(["bash", REPOSITORY / script, "--help"], capture_output=True, text=True, check=True).stdout
    for word in words:
        assert not word.startswith("--") or word in usage, f"{script} has no option {word}"


def check_cmake(words: list) -> None:
    """Presets, options and targets are there; continuous integration builds and installs with them."""
    presets = json.loads((REPOSITORY / "CMakePresets.json").read_text(encoding="utf-8"))
    options = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    for option, value in zip(words, words[1:]):
        if option == "--preset":
            assert value in [preset["name"] for preset in presets["configurePresets"]]
        if option == "--target" and BUILD:
            targets = subprocess.run(["cmake", "--build", BUILD, "--target", "help"], capture_output=True, text=True, check=True)
            assert re.search(rf"\b{value}\b", targets.stdout)
    for name in re.findall(r"-D(BIMTDP_\w+)=", " ".join(words)):
        assert re.search(rf"\b{name}\b", options)


def run_built(program: Path, words: list, folder: Path) -> None:
    """Runs a built program in a folder that looks like the repository and has a model of the name that the documents use."""
    for name in FOLDERS:
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "model.safetensors").symlink_to(REPOSITORY / "examples" / "models" / "bi_mtdp_w18_nyud4.safetensors")
    if program.name.startswith("bench_"):
        words = [*words, "--benchmark_list_tests"]
    subprocess.run([program, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("document, command", ALL)
def test_commands(document, command, monkeypatch, tmp_path):
    words = shlex.split(command)
    program, built = words[0].removeprefix("./"), re.match(r"build/(?:benchmark/)?release/(.*)", words[0])
    for word in words:
        if word.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and "/results/" not in word:
            assert list(REPOSITORY.glob(word)), f"{word} is not there"
    if "pip install -r" in command:
        return
    if program == "python":
        check_python(words[1:], monkeypatch)
    elif program == "torchrun":
        first = next(i for i, word in enumerate(words) if word.endswith(".py"))
        check_python(words[first:], monkeypatch)
    elif program.startswith("scripts/"):
        check_shell(program, words[1:])
    elif program in ("cmake", "ctest"):
        check_cmake(words[1:])
    elif program.startswith("tests/") and program.endswith(".py"):
        subprocess.run([sys.executable, REPOSITORY / program, "--help"], check=True, capture_output=True)
    elif built:
        path = Path(BUILD or REPOSITORY) / built[1]
        if not path.exists():
            pytest.skip(f"{built[1]} is not built")
        run_built(path, words[1:], tmp_path)
    else:
        known = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "scripts").glob("requirements*.txt"))
        assert re.search(rf"^{program}\b", known, re.MULTILINE), "no test runs this"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_languages(document):
    """Blocks of another language would be run by nothing, blocks of C++ and CMake elsewhere than in a README neither."""
    languages = {language for language, _ in blocks(document)}
    assert languages <= ({"", "sh", "cpp", "cmake"} if document.name == "README.md" else {"", "sh"})


def test_commands_of_a_block():
    text = "a --b  # comment\nX=1 c && d \\\n  e\n"
    assert commands(text) == [["a", "--b"], ["c"], ["d", "e"]]
