# SPDX-License-Identifier: Apache-2.0
"""The package is a row of rooms: a file imports its own room and rooms before it, in no circle, at its top."""

import ast
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence

import pytest
from conftest import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"
PACKAGE = "bimtdp_torch"
ROOMS = (
    "files",
    "configuration",
    "machine",
    "programs",
    "checkpoints",
    "networks",
    "data",
    "export",
    "sources",
    "metrics",
    "training",
    "analysis",
    "results",
)
# What may be missing where it is not needed (cpp_extension itself imports setuptools).
OPTIONAL = ("matplotlib", "scipy", "h5py", "torch.utils.tensorboard", "torch.utils.cpp_extension")


class Import(NamedTuple):
    """``file`` imports the module ``target``, a dotted name; ``inside``: in a function."""

    file: str
    target: str
    inside: bool


def module_name(path: Path, root: Path) -> str:
    """a/b.py -> a.b, a/__init__.py -> a."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path, package: str) -> Dict[str, Path]:
    return {module_name(path, root): path for path in sorted((root / package).rglob("*.py"))}


def imports(name: str, path: Path, known: Sequence[str]) -> Iterator[Import]:
    """All imports of a file, also those in functions; a name that is a module counts as that module."""
    folder = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]

    def walk(node: ast.AST, inside: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield Import(name, full if full in known else source, inside)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield Import(name, "a computed name", inside)
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text()), False)


def package_imports(root: Path, package: str = PACKAGE) -> List[Import]:
    files = modules(root, package)
    return [found for name, path in files.items() for found in imports(name, path, list(files))]


def circle(found: Sequence[Import], package: str = PACKAGE) -> List[str]:
    """The files of one circle of imports, empty where there is none."""
    arrows: Dict[str, List[str]] = {}
    for one in found:
        if one.target.split(".")[0] == package:
            arrows.setdefault(one.file, []).append(one.target)
    done = set()

    def visit(name: str, path: List[str]) -> List[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        ring = next(filter(None, (visit(target, [*path, name]) for target in arrows.get(name, []))), [])
        done.add(name)
        return ring

    return next(filter(None, (visit(name, []) for name in arrows)), [])


def arrows_back(found: Sequence[Import], rooms: Sequence[str], package: str = PACKAGE) -> List[Import]:
    """Imports of a room that comes later, or that is in no list."""

    def place(name: str) -> int:
        room = name.split(".")[1]
        return rooms.index(room) if room in rooms else len(rooms)

    inner = [one for one in found if one.target.startswith(f"{package}.") and "." in one.file]
    return [one for one in inner if place(one.target) > place(one.file) or place(one.file) == len(rooms)]


def hidden(found: Sequence[Import]) -> List[Import]:
    """Imports in functions of what is not optional."""
    return [
        one for one in found if one.inside and not any(one.target == name or one.target.startswith(f"{name}.") for name in OPTIONAL)
    ]


def test_no_circle_and_no_arrow_back():
    found = package_imports(SCRIPTS)
    assert len(found) > 500 and circle(found) == [] and arrows_back(found, ROOMS) == []
    inside = {path.stem for path in (SCRIPTS / PACKAGE).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert inside - {"__init__"} == set(ROOMS)


def test_imports_are_at_the_top_but_for_optional_packages():
    scripts = [one for path in sorted(SCRIPTS.glob("*.py")) for one in imports(path.stem, path, ())]
    found = hidden(package_imports(SCRIPTS) + scripts)
    weights = "bimtdp_torch.networks.efficientnet_lite"  # packages of ImageNet weights
    assert [one for one in found if one != Import(weights, "a computed name", True)] == []


@pytest.mark.parametrize(
    "files, ring, back, lazy",
    [
        ({"a/one.py": "import os\nfrom ..b.two import f", "b/two.py": "from ..a import one"}, 2, 1, 0),
        ({"a/one.py": "def f():\n    from . import two", "a/two.py": "from .one import f"}, 2, 0, 1),
        ({"a/one.py": "from kit.b import two", "b/two.py": "import numpy"}, 0, 1, 0),
        ({"a/one.py": "import torch", "b/two.py": "from ..a.one import torch\ndef f():\n    import scipy.io, yaml"}, 0, 0, 1),
        ({"a/one.py": "", "b/two.py": "f = lambda: __import__('kit.a.one')", "c/three.py": "from ..a import one"}, 0, 1, 1),
    ],
)
def test_a_circle_an_arrow_back_and_a_hidden_import_are_found(tmp_path, files, ring, back, lazy):
    for name, text in files.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    found = package_imports(tmp_path, "kit")
    assert len(circle(found, "kit")) == ring and len(hidden(found)) == lazy
    assert len(arrows_back(found, ("a", "b"), "kit")) == back
