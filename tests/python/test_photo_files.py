# SPDX-License-Identifier: Apache-2.0
"""Photos are read as the C++ programs read them, which tests/test_read_photo.cpp holds to the same cases."""

import io
import warnings

import numpy as np
import photo_cases
import photo_tools
import pytest
from bimtdp_torch.analysis.inputs import folder_photos
from bimtdp_torch.data.checks import DataError
from bimtdp_torch.data.nyud import check_frames, load_frames
from bimtdp_torch.data.photo_files import exif_orientation, orientation, read_labelled_photo, read_photo
from bimtdp_torch.data.photos import load_photos
from PIL import Image, ImageOps
from safetensors.numpy import load_file

CASES = photo_cases.all_cases()
GOOD = [case for case in CASES if case.error is None]
ROUNDING = 4  # versions of libjpeg
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of EXIF and palettes


@pytest.fixture(scope="module")
def stored():
    return load_file(photo_cases.OUTPUT)


def test_there_are_enough_cases_of_their_own_names():
    assert len({case.name for case in CASES}) == len(CASES) and len(GOOD) >= 60 and len(CASES) - len(GOOD) >= 60


def test_the_fixture_has_these_cases(stored):
    kinds = {
        name.rsplit(".", 1)[0]: {n.rsplit(".", 1)[1] for n in stored if n.rsplit(".", 1)[0] == name.rsplit(".", 1)[0]}
        for name in stored
    }
    assert kinds == {case.name: {"file", "error" if case.error else "pixels"} for case in CASES}
    for case in CASES:
        if case.error:
            assert bytes(stored[case.name + ".error"]).decode() == case.error


def test_pillow_reads_the_stored_files_as_the_fixture_says(stored):
    for case in GOOD:
        pixels = np.asarray(read_photo(io.BytesIO(bytes(stored[case.name + ".file"]))))
        expected = stored[case.name + ".pixels"]
        assert pixels.shape == expected.shape, case.name
        rounding = 0 if case.name.endswith("png") else ROUNDING
        assert np.abs(pixels.astype(int) - expected).max() <= rounding, case.name


@pytest.mark.parametrize("value", range(1, 9))
def test_photos_are_turned_as_pillow_turns_them(value):
    with Image.open(io.BytesIO(photo_tools.turned(value))) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_photo(io.BytesIO(photo_tools.turned(value))), expected)


def test_orientation_is_that_of_exif_alone():
    cases = {case.name: case.file for case in GOOD}
    expected = {"long": 6, "long_little": 8, "0": 1, "9": 1, "byte": 1, "twice_counted": 1, "behind_fill": 6, "of_xmp": 1}
    for name, value in expected.items():
        with Image.open(io.BytesIO(cases[f"orientation_{name}.jpg"])) as image:
            image.load()
            assert orientation(image) == value, name


def test_damaged_exif_is_upright():
    block = photo_tools.tiff(6)[:22]
    assert exif_orientation(block) == 6
    assert all(exif_orientation(block[:size]) == 1 for size in range(22))


def test_unlabelled_photos_and_those_of_an_analysis_are_upright(tmp_path):
    (tmp_path / "turned.jpg").write_bytes(photo_tools.turned(6))
    upright = read_photo(tmp_path / "turned.jpg")
    assert upright.size == (16, 24)
    expected = np.asarray(upright.resize((8, 8), Image.BILINEAR))
    assert np.array_equal(load_photos(tmp_path, 8).pixels[0].numpy().transpose(1, 2, 0), expected)
    assert np.array_equal(folder_photos([tmp_path], (24, 16), height=24).images[0], upright)


def test_a_labelled_photo_that_exif_turns_is_refused(data_folder, tmp_path):
    path = data_folder / "image/0001.jpg"
    assert read_labelled_photo(path).size == (320, 240)
    (tmp_path / "image").mkdir()
    (tmp_path / "image/0001.jpg").write_bytes(photo_tools.with_orientation(path.read_bytes(), 3))
    for read in (check_frames, load_frames):
        with pytest.raises(DataError, match="0001.jpg: EXIF turns this photo .orientation 3., its labels fit"):
            read(tmp_path, ["0001"])


def test_grey_of_16_bits_keeps_its_shades():
    case = next(case for case in GOOD if case.name == "grey_16.png")
    pixels = np.asarray(read_photo(io.BytesIO(case.file)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(pixels[..., 0], photo_tools.picture(19, 13, 1)[..., 0])
