# SPDX-License-Identifier: Apache-2.0
"""Makes scripts/ importable and gives the tests a tiny data folder of the documented layout."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))


def write_frame(root: Path, name: str, seed: int) -> None:
    """A synthetic room: three flat regions with their own depth, class and normal."""
    random = np.random.default_rng(seed)
    region = (np.arange(240)[:, None] > random.integers(90, 150)) + 1 * (np.arange(320)[None] > random.integers(100, 220))
    photo = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])[region] + random.integers(-20, 20, (240, 320, 3))
    arrays = {
        "image/{}.jpg": photo.clip(0, 255),
        "depth/{}.png": np.array([60, 120, 200])[region],
        "label/{}.png": np.array([0, 1, 39])[region],
        "normal/{}.jpg": np.array([[128, 128, 255], [128, 255, 128], [255, 128, 128]])[region],
    }
    for pattern, array in arrays.items():
        Image.fromarray(array.astype(np.uint8)).save(root / pattern.format(name))
    edge = np.zeros((240, 320), bool)
    edge[:, 1:] |= region[:, 1:] != region[:, :-1]
    Image.fromarray(edge).save(root / f"edge/{name}.png")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("nyud")
    for folder in ("image", "depth", "label", "normal", "edge"):
        (root / folder).mkdir()
    for index in range(1, 19):
        write_frame(root, f"{index:04d}", index)
    (root / "train.txt").write_text("".join(f"{i:04d}\n" for i in range(1, 17)))
    (root / "test.txt").write_text("0017\n0018\n")
    return root
