# SPDX-License-Identifier: Apache-2.0
"""Files are whole or absent; what a program could not print is its exit status; text from a file moves no cursor."""

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from conftest import REPOSITORY

from bimtdp_torch.checkpoints import save_checkpoint, save_weights
from bimtdp_torch.files import is_printable, printable, whole_file, write_text
from bimtdp_torch.training.logs import CsvFile


@contextmanager
def small_disk():
    """Files may not grow beyond 1,000 bytes, nor may that which the tests are reported to: so for a moment only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    with pytest.raises(KeyError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]
    (tmp_path / "link").symlink_to(path)
    write_text(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink() and path.read_text() == "2"


@pytest.mark.parametrize("save", [save_checkpoint, save_weights, lambda content, path: write_text(path, "x" * 5000)])
def test_a_full_disk_leaves_nothing(tmp_path, save):
    with pytest.raises(Exception), small_disk():  # noqa: B017 - each library has its own
        save({"weight": torch.zeros(1000)}, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_a_row_of_a_log_is_whole_or_absent(tmp_path):
    log = CsvFile(tmp_path / "losses.csv")
    with pytest.raises(OSError), small_disk():
        for step in range(1000):
            log.append({"step": step, "loss": 0.123456})
    rows = log.read()
    assert len(rows) > 20 and all(row["loss"] == "0.123456" for row in rows)


PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from bimtdp_torch.files import fail, run_program
def main():
    print("result")
    {rest}
run_program(main)
"""


def program_status(redirection: str, rest: str = "return 0") -> subprocess.CompletedProcess:
    code = PROGRAM.format(scripts=str(REPOSITORY / "scripts"), rest=rest)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = ["bash", "-c", f'"$1" -c "$2" {redirection}', "bash", sys.executable, code]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_does_not_arrive_is_an_error(redirection):
    done = program_status(redirection)
    assert done.returncode == 1 and "standard output" in done.stderr and "Traceback" not in done.stderr


def test_a_program_keeps_its_status():
    assert program_status(">/dev/null").returncode == 0
    assert program_status(">/dev/null", "return 3").returncode == 3
    done = program_status(">/dev/null", 'sys.exit("x.py: no \\x1b[2J such file")')
    assert done.returncode == 1 and done.stderr == "x.py: no \\x1b[2J such file\n"
    assert program_status(">/dev/null", 'return fail("x.py", "gone", 2)').returncode == 2


def test_a_result_does_not_get_the_number_of_a_closed_stream(tmp_path):
    path = tmp_path / "result"
    done = program_status(">&-", f'open({str(path)!r}, "w").write("clean"); print("dirt"); return 0')
    assert done.returncode == 1 and path.read_text() == "clean"


def test_printable_text():
    assert is_printable("étage 日本") and not any(map(is_printable, ("\x1b", "\x9b", "\u202e", "\u2028", "\ud800", "a\n")))
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J\nb\\u202e"
