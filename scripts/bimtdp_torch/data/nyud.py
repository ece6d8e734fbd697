# SPDX-License-Identifier: Apache-2.0
"""NYUDv2 in the folder layout that prepare_nyud.py writes, held in memory as bytes, and its augmentation.

Layout: image/NNNN.jpg, depth/NNNN.png (8 bits, 0 = not measured), label/NNNN.png (39 or 255 = unknown), normal/NNNN.jpg
(grey = unknown), edge/NNNN.png, train.txt, test.txt; 320x240.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .checks import Picture, check_picture, check_values, for_all, naming, read_ids
from .photo_files import read_labelled_photo
from .samples import IGNORE_LABEL, batch_indices, generator, jitter_colour, normalise, unit_vectors

FRAME_SIZE = (320, 240)  # width and height
RUN = 8  # frames of a list that stay together
# The photos have a white frame of about 4 pixels; the inner part has the ratio 3:4 and holds the scored crop.
INNER_ROWS, INNER_COLUMNS = (7, 235), (8, 312)
SCORED_ROWS, SCORED_COLUMNS = (23, 235), (21, 300)
DEPTH_SCALE = 9.99547 / 255  # metres = (v + 0.5) * DEPTH_SCALE, but 0 where nothing was measured
_SHORTEST_NORMAL = 0.25  # a shorter one is none: grey, and what JPEG makes of it
_ONE_CHANNEL = ("1", "L", "P")
CLASS_NAMES = tuple(
    "wall,floor,cabinet,bed,chair,sofa,table,door,window,bookshelf,picture,counter,blinds,desk,shelves,"
    "curtain,dresser,pillow,mirror,floor mat,clothes,ceiling,books,refrigerator,television,paper,towel,"
    "shower curtain,box,whiteboard,person,night stand,toilet,sink,lamp,bathtub,bag,otherstructure,"
    "otherfurniture".split(",")
)


class Frames(NamedTuple):
    """Photos and labels of some frames, the inner part only, N x channels x height x width."""

    ids: List[str]
    image: Tensor  # uint8, 3
    depth: Tensor  # float32 metres, 1; 0: unknown
    label: Tensor  # uint8, 1; from 39 on: unknown
    normal: Tensor  # uint8, 3: see decode_normals
    edge: Tensor  # uint8 0/1, 1


def read_list(root: Path, name: str) -> List[str]:
    """Frame ids of ``train.txt`` or ``test.txt``."""
    return read_ids(Path(root) / f"{name}.txt")


def split_validation(ids: Sequence[str], every: int) -> Tuple[List[str], List[str]]:
    """(training, validation): neighbours are frames of one room, so validation takes whole runs of ids."""
    if every <= 0:
        return list(ids), []
    validation = [i for n, i in enumerate(ids) if (n // RUN) % every == every - 1]
    chosen = set(validation)
    return [i for i in ids if i not in chosen], validation


def _pictures(root: Path, name: str) -> Dict[str, Picture]:
    """The files of a frame."""
    kinds = {
        "image": (".jpg", ()),
        "normal": (".jpg", ("RGB",)),
        **dict.fromkeys(("depth", "label", "edge"), (".png", _ONE_CHANNEL)),
    }
    return {
        folder: Picture(root / folder / f"{name}{suffix}", modes, FRAME_SIZE, upright=folder == "image")
        for folder, (suffix, modes) in kinds.items()
    }


def _check(picture: Picture) -> None:
    check_picture(picture)
    if picture.path.parent.name == "label":
        check_values(picture.path, _pixels(picture), len(CLASS_NAMES), (IGNORE_LABEL, 255))


def check_frames(root: Path, ids: Sequence[str]) -> None:
    """All files of the frames, in seconds: headers, checksums, labels' values. DataError: what is missing, damaged, of another
    kind or no class."""
    for_all(_check, [picture for i in ids for picture in _pictures(root, i).values()], "checking")


def _pixels(picture: Picture) -> np.ndarray:
    """(height, width[, channels]) of the whole file."""
    with naming(picture.path):
        if picture.upright:
            return np.asarray(read_labelled_photo(picture.path))
        with Image.open(picture.path) as image:
            return np.array(image)


def _inner(pixels: np.ndarray) -> np.ndarray:
    """(channels, height, width) of the inner part."""
    pixels = pixels[slice(*INNER_ROWS), slice(*INNER_COLUMNS)]
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def load_frames(root: Path, ids: Sequence[str]) -> Frames:
    """Reads frames that ``check_frames`` let pass into memory (about 0.5 MB a frame). DataError: pixels that cannot be
    decoded."""
    height, width = INNER_ROWS[1] - INNER_ROWS[0], INNER_COLUMNS[1] - INNER_COLUMNS[0]
    channels = {"image": 3, "depth": 1, "label": 1, "normal": 3, "edge": 1}
    stored = {folder: torch.empty(len(ids), count, height, width, dtype=torch.uint8) for folder, count in channels.items()}

    def read(index: int) -> None:
        for folder, picture in _pictures(Path(root), ids[index]).items():
            stored[folder][index].copy_(torch.from_numpy(np.ascontiguousarray(_inner(_pixels(picture)))))

    for_all(read, range(len(ids)), "reading")
    known = stored["depth"] > 0
    depth = torch.where(known, (stored["depth"].float() + 0.5) * DEPTH_SCALE, torch.zeros(()))
    return Frames(list(ids), stored["image"], depth, stored["label"], stored["normal"], (stored["edge"] > 0).to(torch.uint8))


def decode_normals(stored: Tensor) -> Tensor:
    """n = v / 127.5 - 1 of (3, ..) bytes, (0, 0, 0) where they hold no direction."""
    normal = stored.float() / 127.5 - 1
    return normal * (normal.square().sum(0, keepdim=True) >= _SHORTEST_NORMAL**2)


class Crop(NamedTuple):
    """A window of a frame, whether it is mirrored, and how much its content is enlarged."""

    top: int
    left: int
    height: int
    width: int
    flip: bool
    zoom: float


def random_crop(rng: torch.Generator, height: int, width: int, max_zoom: float) -> Crop:
    """Log-uniform zoom in 1..max_zoom at a uniform place, mirrored half of the time."""
    u = torch.rand(4, generator=rng).tolist()
    zoom = math.exp(u[0] * math.log(max_zoom))
    h, w = round(height / zoom), round(width / zoom)
    return Crop(int(u[1] * (height - h + 1)), int(u[2] * (width - w + 1)), h, w, u[3] < 0.5, height / h)


def _cut(x: Tensor, crop: Crop) -> Tensor:
    x = x[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    return (x.flip(2) if crop.flip else x).unsqueeze(0)


def make_sample(
    frames: Frames,
    index: int,
    crop: Crop,
    size: Tuple[int, int],
    rng: Optional[torch.Generator] = None,
    colour: float = 0.0,
    image_size: Optional[Tuple[int, int]] = None,
) -> Dict[str, Tensor]:
    """One augmented training sample at ``size``: image (normalised later; perhaps at a size of its own), depth, label,
    normal, edge."""
    image = F.interpolate(_cut(frames.image[index], crop), image_size or size, mode="bilinear", antialias=True)[0].float() / 255
    if rng is not None:
        image = jitter_colour(image, rng, colour)
    depth = F.interpolate(_cut(frames.depth[index], crop), size, mode="nearest")[0] / crop.zoom
    label = F.interpolate(_cut(frames.label[index], crop), size, mode="nearest")[0, 0].long()
    normal = F.interpolate(decode_normals(_cut(frames.normal[index], crop)[0])[None], size, mode="bilinear", align_corners=False)[0]
    if crop.flip:
        normal[0].neg_()
    edge = F.adaptive_max_pool2d(_cut(frames.edge[index], crop).float(), size)[0]
    return {"image": image, "depth": depth, "semseg": label, "normals": unit_vectors(normal, 0), "edge": edge}


def make_batch(
    frames: Frames,
    seed: int,
    step: int,
    batch: int,
    size: Tuple[int, int],
    max_zoom: float,
    colour: float,
    teacher: Optional["TeacherMaps"] = None,
    part: slice = slice(None),
    image_size: Optional[Tuple[int, int]] = None,
) -> Dict[str, Tensor]:
    """The batch of one step; with ``teacher`` also its maps in the same crops, as ``teacher_<task>`` at size / 4.

    ``image_size``: where the image is to have another size than the labels.
    ``part`` selects samples: every sample has random numbers of its own, so the parts of several processes make
    up the batch that one process would have.
    """
    height, width = frames.image.shape[2:]
    samples = []
    for position, index in list(enumerate(batch_indices(seed, step, batch, len(frames.ids))))[part]:
        rng = generator(seed, 2, step, position)
        crop = random_crop(rng, height, width, max_zoom)
        sample = make_sample(frames, index, crop, size, rng, colour, image_size)
        if teacher is not None:
            sample.update(teacher.sample(index, crop, (height, width), (size[0] // 4, size[1] // 4)))
        samples.append(sample)
    result = {key: torch.stack([s[key] for s in samples]) for key in samples[0]}
    result["image"] = normalise(result["image"]).contiguous(memory_format=torch.channels_last)
    return result


class TeacherMaps:
    """A teacher's outputs for every training frame and its mirror image, computed once, cut like labels.

    maps: task -> (frames, 2, channels, h, w) float16; index 1 of the second axis belongs to the mirrored photo
    and is stored mirrored, as the network saw it.
    """

    def __init__(self, maps: Dict[str, Tensor]):
        self.maps = maps

    def sample(self, index: int, crop: Crop, frame_size: Tuple[int, int], size: Tuple[int, int]) -> Dict[str, Tensor]:
        """Teacher maps of a crop, resampled bilinearly to ``size``."""
        left = frame_size[1] - crop.left - crop.width if crop.flip else crop.left
        result = {}
        ys = (torch.arange(size[0]) + 0.5) / size[0] * crop.height + crop.top
        xs = (torch.arange(size[1]) + 0.5) / size[1] * crop.width + left
        grid = torch.stack(
            torch.meshgrid(ys / frame_size[0] * 2 - 1, xs / frame_size[1] * 2 - 1, indexing="ij")[::-1], -1
        ).unsqueeze(0)
        for task, maps in self.maps.items():
            value = maps[index, int(crop.flip)].float().unsqueeze(0)
            value = F.grid_sample(value, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
            result[f"teacher_{task}"] = value / crop.zoom if task == "depth" else value
        return result
