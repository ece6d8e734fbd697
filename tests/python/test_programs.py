# SPDX-License-Identifier: Apache-2.0
"""Finding and compiling the example programs."""

import stat

import pytest

from bimtdp_torch import programs
from bimtdp_torch.export.errors import VerificationError
from bimtdp_torch.export.verify import build_verify_model
from bimtdp_torch.programs import ProgramError, build_program


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("BIMTDP_VERIFY_MODEL", "BIMTDP_BUILD_DIR", "BIMTDP_INCLUDE_DIR", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def compiler(folder, body):
    """A program that stands for a compiler."""
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_built_programs_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv("BIMTDP_VERIFY_MODEL", str(tmp_path / "absent"))
    with pytest.raises(ProgramError, match="BIMTDP_VERIFY_MODEL names no file"):
        build_program("verify_model")
    (tmp_path / "examples").mkdir()
    for name in ("verify_model", "other"):
        (tmp_path / "examples" / name).write_text("")
    monkeypatch.setenv("BIMTDP_BUILD_DIR", str(tmp_path))
    monkeypatch.setenv("BIMTDP_VERIFY_MODEL", str(tmp_path / "examples" / "other"))
    assert build_program("verify_model").name == "other"
    monkeypatch.delenv("BIMTDP_VERIFY_MODEL")
    assert build_program("verify_model") == tmp_path / "examples" / "verify_model"


def test_compiled_once_per_state_of_the_sources(monkeypatch, tmp_path):
    log = tmp_path / "log"
    monkeypatch.setenv("CXX", compiler(tmp_path, f'echo "$@" >> {log}\nwhile [ "$1" != -o ]; do shift; done; echo built > "$2"'))
    include = tmp_path / "include" / "bimtdp"
    include.mkdir(parents=True)
    (include / "bimtdp.hpp").write_text("1")
    monkeypatch.setenv("BIMTDP_INCLUDE_DIR", str(tmp_path / "include"))
    first = build_program("predict_maps", quiet=True)
    assert build_program("predict_maps", quiet=True) == first and first.read_text() == "built\n"
    (include / "bimtdp.hpp").write_text("2")
    assert build_program("predict_maps", quiet=True) != first
    assert len(log.read_text().splitlines()) == 2 and "-pthread" in log.read_text()


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", compiler(tmp_path, 'echo "x.cpp:1: error: no such thing" >&2; exit 1'))
    with pytest.raises(ProgramError, match="(?s)predict_maps.cpp does not compile with .*error: no such thing"):
        build_program("predict_maps", quiet=True)
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    with pytest.raises(ProgramError, match="no C.. compiler was found"):
        build_program("predict_maps", quiet=True)
    with pytest.raises(VerificationError, match="no C.. compiler was found.*--no-verify"):
        build_verify_model()
