# SPDX-License-Identifier: Apache-2.0
"""Photo files for tests, by Pillow and by hand: parts of JPEG taken out, put in and changed, PNG of any kind."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image


def picture(width: int = 37, height: int = 21, channels: int = 3) -> np.ndarray:
    """(height, width, channels) uint8: slopes, a bright disc and some noise; every corner differs."""
    y, x = np.mgrid[:height, :width]
    slopes = [x * 200 / max(width, 2), y * 200 / max(height, 2), (x + y) * 100 / max(width, 2), (x - y) % 64 * 3]
    disc = ((x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (height / 4) ** 2) * 50
    noise = np.random.default_rng(width * height).integers(0, 6, (height, width))
    return np.stack([s + disc + noise for s in slopes[:channels]], -1).clip(0, 255).astype(np.uint8)


# JPEG


def jpeg(mode: str = "RGB", size: Tuple[int, int] = (37, 21), **options) -> bytes:
    """By Pillow; quality 90 unless ``options`` say otherwise."""
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    array = picture(*size, channels)
    image = Image.fromarray(array[..., 0] if channels == 1 else array, mode)
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def segments(file: bytes) -> Iterator[Tuple[int, bytes]]:
    """(marker, all bytes) of each segment of a tidy JPEG up to the first scan header; then (0, the rest)."""
    at = 2
    while True:
        length = 2 + struct.unpack(">H", file[at + 2 : at + 4])[0]
        yield file[at + 1], file[at : at + length]
        at += length
        if file[at - length + 1] == 0xDA:
            yield 0, file[at:]
            return


def with_orientation(file: bytes, value: int, **options) -> bytes:
    """A JPEG that EXIF turns; ``options`` of ``tiff``."""
    return with_segment(file, segment(0xE1, b"Exif\0\0" + tiff(value, **options)))


def without(file: bytes, *markers: int) -> bytes:
    return b"\xff\xd8" + b"".join(part for marker, part in segments(file) if marker not in markers)


def with_segment(file: bytes, part: bytes) -> bytes:
    """``part`` right behind the start marker."""
    return file[:2] + part + file[2:]


def patched(file: bytes, marker: int, at: int, values: Sequence[int]) -> bytes:
    """Bytes from ``at`` on in the data of the first segment of a kind replaced."""
    parts, done = [], False
    for found, part in segments(file):
        if found == marker and not done:
            part, done = part[: 4 + at] + bytes(values) + part[4 + at + len(values) :], True
        parts.append(part)
    assert done
    return b"\xff\xd8" + b"".join(parts)


def resampled(file: bytes, size: Tuple[int, int], factors: int) -> bytes:
    """The same blocks with another size and other sampling factors of the first component."""
    return patched(patched(file, 0xC0, 1, struct.pack(">HH", size[1], size[0])), 0xC0, 7, [factors])


def tiff(value: int, order: str = "<", kind: int = 3, count: int = 1, entries: int = 1, tag: int = 0x0112) -> bytes:
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, entries)
    stored = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
    return start + struct.pack(order + "HHI", tag, kind, count) + stored + bytes(4)


def turned(value: int, **options) -> bytes:
    return with_orientation(jpeg(size=(24, 16)), value, **options)


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def three_scans() -> bytes:
    """Each component in a scan of its own, of three grey pictures with the standard tables."""
    greys = []
    for shift in (0, 40, 80):
        out = io.BytesIO()
        Image.fromarray(np.roll(picture(37, 21)[..., 0], shift, 1) // 2 + shift).save(out, "JPEG", quality=90)
        greys.append(dict(segments(out.getvalue())))
    header = b"\x08" + struct.pack(">HHB", 21, 37, 3) + b"".join(bytes([i + 1, 0x11, 0]) for i in range(3))
    scans = [segment(0xDA, bytes([1, i + 1, 0, 0, 63, 0])) + grey[0][:-2] for i, grey in enumerate(greys)]
    tables = b"".join(part for marker, part in segments(jpeg("L")) if marker in (0xDB, 0xC4))
    return b"\xff\xd8" + tables + segment(0xC0, header) + b"".join(scans) + b"\xff\xd9"


# PNG

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def filtered(rows: List[bytes], step: int, first: int) -> bytes:
    """Rows with the five filters in turn, beginning with ``first``."""
    out, above = b"", bytes(len(rows[0]))
    for n, row in enumerate(rows):
        kind = (first + n) % 5
        line = bytearray([kind])
        for i, value in enumerate(row):
            left, up, corner = (row[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
            p = left + up - corner
            paeth = min((left, up, corner), key=lambda v, p=p: abs(p - v))
            line.append((value - (0, left, up, (left + up) // 2, paeth)[kind]) & 255)
        out, above = out + bytes(line), row
    return out


def png_rows(values: np.ndarray, depth: int) -> List[bytes]:
    """Rows of (height, width, channels) samples, packed."""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in values]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in values]
    bits = (values.reshape(len(values), -1)[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]


def png(
    colour: int = 2,
    depth: int = 8,
    size: Tuple[int, int] = (19, 13),
    interlaced: bool = False,
    before: bytes = b"",
    behind: bytes = b"",
    packed: Optional[bytes] = None,
    level: int = 9,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    header: Optional[bytes] = None,
) -> bytes:
    """By hand: any colour type, depth and filter; ``before`` and ``behind`` the image data, which ``packed`` replaces."""
    channels = CHANNELS[colour]
    values = picture(*size, channels).astype(np.int64) * 257 >> (16 - depth)
    step = max(1, channels * depth // 8)
    passes = [values[y::down, x::across] for x, y, across, down in ADAM7] if interlaced else [values]
    raw = b"".join(filtered(png_rows(part, depth), step, i + 1) for i, part in enumerate(passes) if part.size)
    squeeze = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    data = squeeze.compress(raw) + squeeze.flush() if packed is None else packed
    header = header or struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + before + chunk(b"IDAT", data) + behind + chunk(b"IEND", b"")


def palette(colours: int) -> bytes:
    return chunk(b"PLTE", bytes((37 * i + 80 * c + 11) % 256 for i in range(colours) for c in range(3)))
