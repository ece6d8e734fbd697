# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or absent, and the frame of every program: what it prints arrives, or its exit status says so."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

_DIRECTIONS = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def is_printable(text: str) -> bool:
    """False for text that a terminal obeys instead of showing it: controls, line separators, marks that turn its direction."""
    return all(_shown(ord(character)) for character in text)


def _shown(code: int) -> bool:
    control = code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF
    return not control and code not in _DIRECTIONS and code not in (0x2028, 0x2029)


def printable(text: str) -> str:
    """``text`` with escapes for what is not printable; lines stay lines."""
    shown = (c if c in "\n\t" or _shown(ord(c)) else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


@contextmanager
def whole_file(path: Union[str, Path]) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix. What the block wrote there takes the place of ``path``; when the
    block fails nothing is left of it. Behind a symbolic link the file is replaced, not the link; a device or pipe is written
    directly."""
    if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
        yield Path(path)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Union[str, Path], content: bytes) -> None:
    """Writes a file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Union[str, Path], content: str) -> None:
    """Writes UTF-8 whole or not at all."""
    write_bytes(path, content.encode())


def check_output(path: Path) -> None:
    """OSError where nothing can be written at ``path``, a file or folder that perhaps is not there yet: to be asked before
    hours of work, not after."""
    there = path = Path(path)
    while not there.exists() and there != there.parent:
        there = there.parent
    if there != path and not there.is_dir():
        raise NotADirectoryError(f"{path}: cannot be written, for {there} is no folder")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{path}: cannot be written, for {there} may not be changed")


def fail(program: str, error: Union[BaseException, str], status: int = 1) -> int:
    """Prints the one line of a program that gives up, and gives its exit status. The text may come from a file, so it is
    shown, not obeyed."""
    print(f"{program}: {printable(str(error))}", file=sys.stderr, flush=True)
    return status


def run_program(main: Callable[[], Optional[int]]) -> None:
    """Ends the process with the status of ``main()``, or 1 where standard output is closed or full."""
    name = Path(sys.argv[0]).name
    hold_standard_streams()
    try:
        status = main()
    except SystemExit as ended:  # argparse's --help, too
        status = ended.code
    except OSError as error:  # a print that failed; of files the programs speak themselves
        status = fail(name, error)
    if isinstance(status, str):
        print(printable(status), file=sys.stderr)
        status = 1
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python does not try again at its end
        status = fail(name, f"standard output cannot be written: {error.strerror}") if not status else status
    sys.exit(status)


def hold_standard_streams() -> None:
    """Takes the numbers of standard streams that are closed, so that no file gets them; writing there fails as it did."""
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 0 else os.O_RDONLY)
            if number:
                setattr(sys, stream, os.fdopen(number, "w", closefd=False))
