# SPDX-License-Identifier: Apache-2.0
"""Photo files as the C++ programs see them: upright RGB, 8 bits. examples/photo/ follows the same rules; a test compares them.

Alpha and profiles are left out, 16 bits give their high 8, CMYK lies on white paper. The orientation is EXIF's alone: Pillow's
own reader also takes it from XMP and from entries of a wrong type.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Union

import numpy as np
from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4


def exif_orientation(exif: bytes) -> int:
    """1 to 8 from the first directory of a TIFF block; 1, upright, where it says nothing or is damaged."""
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)

    directory = number(4, 4)
    if number(2, 2) != 42 or directory > len(exif) - 2:
        return 1
    for at in range(directory + 2, min(directory + 2 + 12 * number(directory, 2), len(exif) - 11), 12):
        if number(at, 2) == _ORIENTATION:
            kind, count = number(at + 2, 2), number(at + 4, 4)
            value = number(at + 8, 2 if kind == _SHORT else 4)
            return value if count == 1 and kind in (_SHORT, _LONG) and 1 <= value <= 8 else 1
    return 1


def orientation(image: Image.Image) -> int:
    """EXIF orientation of a loaded photo (of a JPEG, an opened one; PNG may name it behind the pixels)."""
    exif = image.info.get("exif", b"")
    return exif_orientation(exif[len(_EXIF) :] if exif.startswith(_EXIF) else exif)


def as_rgb(image: Image.Image) -> Image.Image:
    """The pixels as stored, in RGB. Pillow alone would cut grey values of 16 bits at 255."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def read_photo(file: Union[str, Path, IO[bytes]]) -> Image.Image:
    """The upright photo. OSError (Pillow's UnidentifiedImageError is one) where the file is no photo or is cut off."""
    with Image.open(file) as image:
        image.load()
        turn = _TURNS.get(orientation(image))
        photo = as_rgb(image)
    return photo if turn is None else photo.transpose(turn)


def refuse_turned(image: Image.Image) -> None:
    """ValueError where EXIF turns a labelled photo: its labels fit the stored pixels."""
    turn = orientation(image)
    if turn != 1:
        raise ValueError(
            f"EXIF turns this photo (orientation {turn}), its labels fit the stored pixels; turn photo and labels, or remove the "
            "tag"
        )


def read_labelled_photo(file: Union[str, Path, IO[bytes]]) -> Image.Image:
    """A photo whose labels fit its stored pixels; ValueError where EXIF turns it, OSError as for ``read_photo``."""
    with Image.open(file) as image:
        image.load()
        refuse_turned(image)
        return as_rgb(image)
