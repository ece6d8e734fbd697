# SPDX-License-Identifier: Apache-2.0
"""Photo files of every kind that is read or refused, made by Pillow and by hand, each with the error that it must give.

``python tests/python/photo_cases.py [OUTPUT]`` writes tests/data/photos.safetensors: the files, the pixels that Pillow reads from
those that are good, and the messages of the others. tests/test_read_photo.cpp reads it.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np
from photo_tools import (
    adobe,
    chunk,
    jpeg,
    palette,
    patched,
    png,
    resampled,
    segment,
    segments,
    three_scans,
    tiff,
    turned,
    with_segment,
    without,
)

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from bimtdp_torch.data.photo_files import read_photo  # noqa: E402

OUTPUT = REPOSITORY / "tests/data/photos.safetensors"


class Case(NamedTuple):
    """``error`` is what the message holds after the file's name; None: the file is good."""

    name: str
    file: bytes
    error: Optional[str] = None


def good_jpegs() -> Iterator[Case]:
    plain, grey, cmyk = jpeg(), jpeg("L"), jpeg("CMYK")
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield Case(f"baseline_{name}.jpg", jpeg(subsampling=sampling))
        yield Case(f"progressive_{name}.jpg", jpeg(subsampling=sampling, progressive=True))
    yield Case("sampled_1x2.jpg", resampled(jpeg(size=(32, 32), subsampling=1), (15, 61), 0x12))
    yield Case("sampled_4x1.jpg", resampled(jpeg(size=(32, 32), subsampling=2), (61, 15), 0x41))
    yield Case("sampled_1x4.jpg", resampled(jpeg(size=(32, 32), subsampling=2), (15, 61), 0x14))
    for size in ((1, 1), (1, 50), (50, 1), (7, 9), (8, 8), (16, 16), (17, 33), (2, 2), (5, 3)):
        yield Case(f"size_{size[0]}x{size[1]}.jpg", jpeg(size=size))
        yield Case(f"size_{size[0]}x{size[1]}_progressive.jpg", jpeg(size=size, progressive=True))
    for quality in (1, 30, 100):
        yield Case(f"quality_{quality}.jpg", jpeg(quality=quality))
    yield Case("grey.jpg", grey)
    yield Case("grey_progressive.jpg", jpeg("L", progressive=True))
    yield Case("grey_sampled_2x2.jpg", patched(grey, 0xC0, 7, [0x22]))
    yield Case("optimised.jpg", jpeg(optimize=True))
    yield Case("restarts.jpg", jpeg(restart_marker_blocks=1))
    yield Case("restarts_progressive.jpg", jpeg(restart_marker_blocks=2, progressive=True))
    yield Case("scan_each.jpg", three_scans())
    yield Case("extended.jpg", plain.replace(b"\xff\xc0", b"\xff\xc1", 1))
    # Colours.
    yield Case("cmyk_adobe.jpg", cmyk)
    yield Case("cmyk_unmarked.jpg", without(cmyk, 0xEE))
    yield Case("cmyk_progressive.jpg", jpeg("CMYK", progressive=True))
    yield Case("ycck_adobe.jpg", patched(cmyk, 0xEE, 11, [2]))
    yield Case("unknown_adobe.jpg", patched(cmyk, 0xEE, 11, [7]))
    bare = without(plain, 0xE0)
    yield Case("unmarked.jpg", bare)
    yield Case("rgb_adobe.jpg", with_segment(bare, adobe(0)))
    yield Case("ycc_adobe.jpg", with_segment(bare, adobe(1)))
    yield Case("jfif_and_adobe.jpg", plain[:20] + adobe(0) + plain[20:])
    lettered = bare
    for i, letter in enumerate(b"RGB"):
        lettered = patched(patched(lettered, 0xC0, 6 + 3 * i, [letter]), 0xDA, 1 + 2 * i, [letter])
    yield Case("rgb_letters.jpg", lettered)
    # Cameras' habits.
    yield Case("mjpeg.jpg", without(plain, 0xC4))
    yield Case("mjpeg_avi.jpg", with_segment(without(plain, 0xC4, 0xE0), segment(0xE0, b"AVI1" + bytes(10))))
    yield Case("preview_behind.jpg", plain + jpeg(size=(8, 8)) + b"more")
    yield Case("drone.jpg", plain[:-2] + b"\0\1\xff\0junk\xff\0\xff\0" + plain[-2:])
    yield Case("restart_at_the_end.jpg", plain[:-2] + b"\xff\xd7" + plain[-2:])
    yield Case("junk_and_restart_at_the_end.jpg", plain[:-2] + bytes(50) + b"\xff\xd1" + bytes(9) + plain[-2:])
    yield Case("fill_bytes.jpg", plain[:2] + b"\xff\xff\xff" + plain[2:-2] + b"\xff\xff" + plain[-2:])
    yield Case("comment.jpg", with_segment(plain, segment(0xFE, b"\xff\xd9\xff\xda a comment")))
    yield Case("number_of_lines.jpg", plain[:-2] + segment(0xDC, struct.pack(">H", 21)) + plain[-2:])
    yield Case("last_coefficient_0.jpg", patched(plain, 0xDA, 8, [0]))
    # Orientation.
    for value in range(1, 9):
        yield Case(f"orientation_{value}.jpg", turned(value, order="<>"[value % 2]))
    yield Case("orientation_long.jpg", turned(6, kind=4, order=">"))
    yield Case("orientation_long_little.jpg", turned(8, kind=4))
    yield Case("orientation_0.jpg", turned(0))
    yield Case("orientation_9.jpg", turned(9))
    yield Case("orientation_byte.jpg", turned(6, kind=1))
    yield Case("orientation_twice_counted.jpg", turned(6, count=2))
    yield Case("orientation_behind_fill.jpg", turned(6)[:2] + b"\xff\xff" + turned(6)[2:])
    yield Case("orientation_behind_other.jpg", with_segment(turned(6), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")))
    yield Case("orientation_in_two_segments.jpg", with_segment(turned(3), segment(0xE1, b"Exif\0\0" + tiff(6)[:20])))
    yield Case("orientation_many_entries.jpg", turned(6, entries=65535, tag=0x0100))
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    yield Case("orientation_of_xmp.jpg", with_segment(jpeg(size=(24, 16)), segment(0xE1, xmp)))


def bad_jpegs() -> Iterator[Case]:
    plain, progressive = jpeg(), jpeg(progressive=True)
    damaged = "the JPEG file is damaged before byte "
    yield Case("huffman_counts.jpg", patched(plain, 0xC4, 1, [255] * 16), "a Huffman table has 4080 symbols, expected at most 256")
    yield Case("huffman_lengths.jpg", patched(plain, 0xC4, 1, [3]), damaged)
    all_ones = patched(progressive, 0xC4, 1, [0, 1, 6, 0, 0])  # seven codes, the last 111
    yield Case("huffman_ones.jpg", all_ones, "a Huffman table has more codes than its lengths allow")
    yield Case("huffman_number.jpg", patched(plain, 0xC4, 0, [9]), "a Huffman table is number 9 of kind 0")
    yield Case("huffman_dc_size.jpg", patched(plain, 0xC4, 28, [16]), "a Huffman table of DC sizes holds one above 15")
    yield Case("quantiser_number.jpg", patched(plain, 0xDB, 0, [7]), "a quantisation table is number 7 of kind 0")
    yield Case("quantiser_0.jpg", patched(plain, 0xDB, 9, [0]), "a quantisation table holds 0")
    yield Case(
        "quantiser_short.jpg", with_segment(plain, segment(0xDB, bytes([0] + [1] * 63))), "its quantisation table is too short"
    )
    yield Case("quantiser_missing.jpg", without(plain, 0xDB), "quantisation table 0 is missing")
    yield Case("huffman_missing.jpg", without(progressive, 0xC4), "DC Huffman table 0 is missing")
    yield Case("frame_missing.jpg", without(plain, 0xC0), "image data stand before the frame header")
    yield Case("frame_twice.jpg", with_segment(plain, dict(segments(plain))[0xC0]), "there is a second frame header")
    yield Case("nothing_between.jpg", b"\xff\xd8\xff\xd9", "there is no frame header")
    yield Case("components_2.jpg", patched(plain, 0xC0, 5, [2]), "is a JPEG of 2 components, expected 1 (grey), 3 (colour)")
    yield Case("component_names.jpg", patched(plain, 0xC0, 9, [1]), "two components have one name, 1")
    yield Case("component_unknown.jpg", patched(plain, 0xDA, 1, [9]), "a scan names component 9, which is not there")
    yield Case("scan_empty.jpg", patched(plain, 0xDA, 0, [0]), "a scan has 0 components")
    yield Case("scan_table.jpg", patched(plain, 0xDA, 2, [0x70]), "a scan wants Huffman tables 7 and 0, expected 0 to 3")
    yield Case("scan_part.jpg", patched(plain, 0xDA, 7, [1]), "a scan of a sequential picture holds a part of the coefficients")
    yield Case("scan_shift.jpg", patched(progressive, 0xDA, 9, [0x0F]), "a scan holds coefficients 0 to 0, bits 0 to 15")
    yield Case("sampling_0.jpg", patched(plain, 0xC0, 7, [0x01]), "a component is sampled 0x1, expected 1 to 4")
    yield Case(
        "sampling_3_to_2.jpg", patched(patched(plain, 0xC0, 7, [0x31]), 0xC0, 10, [0x21]), "has a component sampled 2x1 beside 3x1"
    )
    yield Case("sampling_too_much.jpg", patched(plain, 0xC0, 7, [0x44]), "a scan interleaves 18 blocks, expected at most 10")
    yield Case("bits_12.jpg", patched(plain, 0xC0, 0, [12]), "is a JPEG of 12 bits a value, expected 8; convert the photo")
    for number, name in ((3, "lossless"), (9, "arithmetic"), (10, "arithmetic_progressive")):
        changed = plain.replace(b"\xff\xc0", bytes([0xFF, 0xC0 + number]), 1)
        yield Case(f"{name}.jpg", changed, f"is a JPEG of a kind that is not read: SOF{number}")
    yield Case("height_0.jpg", patched(plain, 0xC0, 1, [0, 0]), "has no pixels (got 37x0)")
    yield Case(
        "size_bomb.jpg", patched(plain, 0xC0, 1, [255] * 4), "is too large (got 65535x65535, expected at most 67108864 pixels)"
    )
    yield Case("size_more.jpg", patched(plain, 0xC0, 1, [0, 200]), "the JPEG file is cut off in its image data (got ")
    yield Case("marker_unknown.jpg", with_segment(plain, segment(0xF7, b"ls")), "marker 247 is unknown or out of place")
    yield Case("marker_restart.jpg", with_segment(plain, b"\xff\xd0"), "marker 208 is unknown or out of place")
    yield Case(
        "length_1.jpg", with_segment(plain, b"\xff\xfe\0\1"), "the length of its application segment is 1, expected at least 2"
    )
    yield Case("no_marker.jpg", plain[:20] + b"xy" + plain[20:], "no marker (got byte 120, expected 255)")
    yield Case(
        "lines_differ.jpg", plain[:-2] + segment(0xDC, b"\0\7") + plain[-2:], "the number of lines is 7, the frame header says 21"
    )
    yield Case("end_too_early.jpg", plain[: len(plain) * 3 // 4] + b"\xff\xd9", "the JPEG file is cut off in its image data (got ")
    scans = progressive.split(b"\xff\xda")
    yield Case(
        "scans_missing.jpg",
        b"\xff\xda".join(scans[:5]) + b"\xff\xd9",
        "the JPEG file is cut off: scans of its image data are missing",
    )
    yield Case("scans_twice.jpg", b"\xff\xda".join([*scans[:2], *scans[1:]]), "scans of its image data come twice or out of order")
    restarts = jpeg(restart_marker_blocks=1)
    yield Case(
        "restart_order.jpg", restarts.replace(b"\xff\xd1", b"\xff\xd5"), "a restart marker of its image data is missing or out of"
    )
    yield Case("restart_missing.jpg", restarts.replace(b"\xff\xd1", b""), damaged)
    yield Case(
        "codes_of_ones.jpg",
        b"".join(p for m, p in [(0, b"\xff\xd8"), *segments(plain)][:-1]) + b"\xff\0" * 400 + b"\xff\xd9",
        "its image data are no sound codes",
    )


def good_pngs() -> Iterator[Case]:
    names = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgb_alpha"}
    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            before = palette(2**depth) if colour == 3 else b""
            yield Case(f"{names[colour]}_{depth}.png", png(colour, depth, before=before))
            yield Case(f"{names[colour]}_{depth}_interlaced.png", png(colour, depth, before=before, interlaced=True))
    for size in ((1, 1), (1, 50), (50, 1), (3, 5), (8, 8)):
        yield Case(f"size_{size[0]}x{size[1]}.png", png(size=size))
        yield Case(f"size_{size[0]}x{size[1]}_interlaced.png", png(size=size, interlaced=True))
    yield Case("stored.png", png(level=0))
    yield Case("fixed_codes.png", png(strategy=zlib.Z_FIXED))
    yield Case("huffman_only.png", png(strategy=zlib.Z_HUFFMAN_ONLY))
    whole = png()
    data = whole[whole.index(b"IDAT") + 4 :][: struct.unpack(">I", whole[whole.index(b"IDAT") - 4 :][:4])[0]]
    many = b"".join(chunk(b"IDAT", data[i : i + 40]) for i in range(0, len(data), 40))
    yield Case("many_pieces.png", png(packed=b"", before=many))
    yield Case("transparent_colour.png", png(before=chunk(b"tRNS", struct.pack(">HHH", 5, 5, 5))))
    yield Case("transparent_palette.png", png(3, before=palette(256) + chunk(b"tRNS", bytes(range(200)))))
    yield Case("gamma_and_text.png", png(before=chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tEXt", b"Title\0none")))
    yield Case("suggested_palette.png", png(before=palette(5)))
    yield Case("more_behind.png", png() + b"more")
    yield Case("orientation_6.png", png(before=chunk(b"eXIf", tiff(6))))
    yield Case("orientation_5_long.png", png(before=chunk(b"eXIf", tiff(5, ">", kind=4))))
    yield Case("orientation_behind.png", png(behind=chunk(b"eXIf", tiff(8))))
    yield Case("orientation_damaged.png", png(before=chunk(b"eXIf", tiff(8)[:17])))


def bad_pngs() -> Iterator[Case]:
    whole, raw = png(), bytes(13 * (1 + 19 * 3))

    def header(*values: int) -> bytes:
        return struct.pack(">IIBBBBB", *values)

    yield Case(
        "iphone.png",
        whole[:8] + chunk(b"CgBI", b"\x50\0\x20\x02") + whole[8:],
        "is a PNG of the kind that Xcode packs for iPhones (CgBI)",
    )
    yield Case(
        "inflates_to_16_mb.png", png(size=(1, 1), packed=zlib.compress(bytes(1 << 24), 9)), "its image data have more than 4 bytes"
    )
    yield Case("inflates_to_less.png", png(packed=zlib.compress(raw[:-1])), "its image data have 753 bytes, expected 754")
    yield Case("inflates_to_more.png", png(packed=zlib.compress(raw + b"\0")), "its image data have more than 754 bytes")
    yield Case("checksum_of_data.png", png(packed=zlib.compress(raw)[:-1] + b"x"), "its image data have another checksum")
    yield Case("data_cut_off.png", png(packed=zlib.compress(raw)[:-6]), "its image data have no end")
    yield Case("data_empty.png", png(packed=b""), "it has no image data")
    yield Case("data_not_zlib.png", png(packed=b"no zlib stream"), "its image data have a wrong zlib header")
    yield Case(
        "filter_5.png", png(packed=zlib.compress(raw[:58] + b"\5" + raw[59:])), "a row of its image data has an unknown filter"
    )
    yield Case("distance.png", png(packed=b"\x78\x9c\x4b\x04\x62\0"), "its image data have a distance before the beginning")
    yield Case("checksum_of_chunk.png", whole[:30] + b"xxxx" + whole[33:], "a wrong checksum of its IHDR chunk")
    yield Case("size_0.png", png(header=header(0, 5, 8, 2, 0, 0, 0)), "has no pixels (got 0x5)")
    yield Case("size_bomb.png", png(header=header(2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)), "is too large (got 2147483647x2147483647")
    yield Case("bits_3.png", png(header=header(19, 13, 3, 0, 0, 0, 0)), "its colours are of kind 0 with 3 bits")
    yield Case("palette_of_16_bits.png", png(header=header(19, 13, 16, 3, 0, 0, 0)), "its colours are of kind 3 with 16 bits")
    yield Case("interlace_2.png", png(header=header(19, 13, 8, 2, 0, 0, 2)), "compression 0, filter 0, interlace 2")
    yield Case("header_short.png", png(header=header(19, 13, 8, 2, 0, 0, 0)[:-1]), "its header has 12 bytes, expected 13")
    yield Case("header_missing.png", whole[:8] + whole[33:], "its IDAT chunk is out of place")
    yield Case("header_twice.png", png(before=chunk(b"IHDR", header(9, 9, 8, 2, 0, 0, 0))), "its IHDR chunk is out of place")
    yield Case("palette_missing.png", png(3), "its palette is missing")
    yield Case("palette_too_long.png", png(3, 2, before=palette(5)), "its palette has 15 bytes, expected 3 for each of at most 4")
    yield Case("palette_of_grey.png", png(0, before=palette(5)), "its palette is out of place")
    yield Case(
        "data_apart.png",
        png(before=chunk(b"IDAT", b"") + chunk(b"IDAT", b"x") + chunk(b"tEXt", b"a\0b")),
        "its IDAT chunks are not together",
    )
    yield Case("chunk_unknown.png", png(before=chunk(b"ABCD", b"")), "its chunk ABCD is unknown, and the picture needs it")
    yield Case("chunk_name.png", png(before=chunk(b"a\x1b[m", b"")), "a chunk whose name is not of letters")
    yield Case("chunk_length.png", whole[:33] + b"\xff" + whole[34:], "a chunk of 42")
    yield Case("end_not_empty.png", whole[:-12] + chunk(b"IEND", b"x"), "its IEND chunk holds 1 bytes")
    yield Case("signature.png", b"\x89PNG\r\n\x1a\r" + whole[8:], "is no JPEG or PNG photo")


def others() -> Iterator[Case]:
    yield Case("empty", b"", "is empty (expected")
    for name, start in (("gif", b"GIF89a"), ("bmp", b"BM"), ("webp", b"RIFF\0\0\0\0WEBP"), ("heic", b"\0\0\0\x18ftypheic")):
        yield Case(
            f"other.{name}", start + bytes(40), "is no JPEG or PNG photo (expected the first bytes of one; convert other kinds)"
        )


def all_cases() -> List[Case]:
    return [*good_jpegs(), *bad_jpegs(), *good_pngs(), *bad_pngs(), *others()]


def main(output: Path) -> None:
    from safetensors.numpy import save_file

    tensors: Dict[str, np.ndarray] = {}
    for case in all_cases():
        assert case.name + ".file" not in tensors, case.name
        tensors[case.name + ".file"] = np.frombuffer(case.file, np.uint8)
        if case.error is None:
            tensors[case.name + ".pixels"] = np.ascontiguousarray(read_photo(io.BytesIO(case.file)))
        else:
            tensors[case.name + ".error"] = np.frombuffer(case.error.encode(), np.uint8)
    save_file(tensors, output)
    print(f"{output}: {len(tensors) // 2} photos, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
