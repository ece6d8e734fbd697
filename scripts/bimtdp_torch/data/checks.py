# SPDX-License-Identifier: Apache-2.0
"""Looks at every file of a data set before a run begins and says all that is wrong with them at once.

Headers and ends are enough for photos and maps; a PNG's checksums are compared, pixels are decoded only where a file does
not end as its format does. In threads: most of the time is the system's.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from .photo_files import refuse_turned

_SHOWN = 20  # problems that an error lists
_THREADS = min(32, 2 * (os.cpu_count() or 1))
Item = TypeVar("Item")
Result = TypeVar("Result")


class DataError(ValueError):
    """Files of a data set cannot be used; the message names them."""


@contextlib.contextmanager
def naming(file: Any) -> Iterator[None]:
    """Whatever goes wrong inside is a DataError that begins with the file's name: decoders raise all kinds of exceptions."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{file}: missing") from None
    except Exception as error:
        raise DataError(f"{file}: {str(error) or type(error).__name__}") from error


def for_all(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> List[Result]:
    """``function`` of every item, in threads and in order. What they raise as DataError is raised together, as one."""

    def attempt(item: Item) -> Tuple[Optional[Result], str]:
        try:
            return function(item), ""
        except DataError as error:
            return None, str(error)

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(tqdm(pool.map(attempt, items), what, len(items), mininterval=5, delay=5, leave=False, dynamic_ncols=True))
    refuse([problem for _, problem in found if problem])
    return [result for result, _ in found]


def refuse(problems: Iterable[str]) -> None:
    """DataError with the first of the problems and their number, where there are any."""
    lines = [line for problem in problems for line in problem.splitlines()]
    if lines:
        more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        count = "" if len(lines) == 1 else f"{len(lines)} problems with the data:\n  "
        raise DataError(count + "\n  ".join(lines[:_SHOWN]) + more)


class Picture(NamedTuple):
    """A file and what it has to be: ``modes`` of Pillow, or none for every kind; ``size`` is width and height; ``upright``:
    a photo with labels, which EXIF may not turn."""

    path: Path
    modes: Tuple[str, ...] = ()
    size: Optional[Tuple[int, int]] = None
    upright: bool = False


def check_picture(picture: Picture) -> None:
    """DataError: a file is missing, is no picture, is damaged, or is of another kind or size."""
    with naming(picture.path), open(picture.path, "rb") as file:
        check_whole(file, *picture[1:])


def check_kind(image: Image.Image, modes: Tuple[str, ...] = (), size: Optional[Tuple[int, int]] = None) -> None:
    """ValueError: the picture has other channels or another size."""
    if size and image.size != size:
        raise ValueError(f"{image.width}x{image.height} pixels, expected {size[0]}x{size[1]}")
    if modes and image.mode not in modes:
        raise ValueError(f"a picture of the kind {image.mode}, expected {' or '.join(modes)} (Pillow's names)")


def check_whole(file: BinaryIO, modes: Tuple[str, ...] = (), size: Optional[Tuple[int, int]] = None, upright: bool = False) -> None:
    """Raises where an open picture is not whole or not as expected."""
    with Image.open(file) as image:
        check_kind(image, modes, size)
        if image.format == "PNG" and not upright:
            image.verify()  # the checksums of all chunks
        elif image.format != "JPEG" or not _ends_with(file, b"\xff\xd9"):
            image.load()
        if upright:
            refuse_turned(image)


def _ends_with(file: BinaryIO, end: bytes) -> bool:
    position = file.tell()
    file.seek(-len(end), os.SEEK_END)
    found = file.read(len(end)) == end
    file.seek(position)
    return found


def check_values(path: Path, pixels: np.ndarray, known: int, unknown: Sequence[int]) -> None:
    """DataError: a map of labels holds numbers that are neither classes (below ``known``) nor ``unknown``."""
    present = np.flatnonzero(np.bincount(np.ravel(pixels), minlength=256))
    wrong = [int(value) for value in present if value >= known and value not in unknown]
    if wrong:
        listed = ", ".join(map(str, wrong[:5])) + (" .." if len(wrong) > 5 else "")
        raise DataError(
            f"{path}: labels {listed}, expected 0 to {known - 1}, or {' or '.join(map(str, unknown))} where the class is unknown"
        )


_MATRIX, _COMPRESSED = 14, 15  # kinds of elements in a MAT-file of level 5
_INFLATED = 1 << 20  # bytes of an element that are looked at, with its checksum where it ends before that


def check_mat(path: Path, variable: str) -> None:
    """DataError: a MAT-file is missing, cut off or damaged, or lacks the variable."""
    with naming(path):
        content = memoryview(path.read_bytes())
        if len(content) < 128 or content[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
            raise ValueError("no MAT-file of level 5, or cut off")
        order, place, names = ("<" if content[126:128] == b"IM" else ">"), 128, []
        while place < len(content):
            kind, length = struct.unpack_from(f"{order}II", content, place) if place + 8 <= len(content) else (0, 0)
            place += 8 + length
            if kind not in (_MATRIX, _COMPRESSED) or place > len(content):
                raise ValueError("is cut off or damaged")
            element = content[place - length : place]
            names.append(_variable(_inflate(element)[8:] if kind == _COMPRESSED else element, order))
        if variable not in names:
            raise ValueError(f"has no variable {variable} (it has {', '.join(names) or 'none'})")


def _inflate(element: memoryview) -> bytes:
    """The beginning of a compressed element."""
    stream = zlib.decompressobj()
    begin = stream.decompress(element, _INFLATED)
    if not stream.eof and len(begin) < _INFLATED:
        raise ValueError("is cut off or damaged")
    return begin


def _variable(matrix: bytes | memoryview, order: str) -> str:
    """The name of a matrix: behind its flags and its dimensions, which are padded to 8 bytes."""
    (dimensions,) = struct.unpack_from(f"{order}I", matrix, 20)
    place = 24 + -(-dimensions // 8) * 8
    kind, length = struct.unpack_from(f"{order}II", matrix, place)
    begin, length = (place + 4, kind >> 16) if kind >> 16 else (place + 8, length)  # short names stand in the tag
    return bytes(matrix[begin : begin + length]).decode("ascii", "replace")


def read_ids(path: Path, hint: str = "") -> List[str]:
    """The ids of a list, one a line. DataError: it is missing, empty, no text, or names a frame twice."""
    with naming(path):
        if not path.is_file():
            raise DataError(f"{path}: missing{hint}")
        ids = path.read_text(encoding="utf-8").split()
        if not ids:
            raise ValueError("lists no frames")
        twice = [i for i, count in Counter(ids).items() if count > 1]
        if twice:
            raise ValueError(f"lists {', '.join(twice[:5])}{' ..' if len(twice) > 5 else ''} more than once")
        return ids
