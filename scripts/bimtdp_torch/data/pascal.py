# SPDX-License-Identifier: Apache-2.0
"""PASCAL-Context with five tasks, in the layout of the public archive PASCAL_MT (Maninis et al., "Attentive
Single-Tasking of Multiple Tasks", CVPR 2019; the one that MTI-Net's public repository downloads and reads).

    JPEGImages/ID.jpg
    ImageSets/Context/train.txt, val.txt       one ID a line
    semseg/VOC12/ID.png                        0..20, 255 unknown; semseg/pascal-context/ID.png where VOC12 has none
    human_parts/ID.mat                         anno.objects(i): class_ind, mask, parts(j): part_name, mask
    pascal-context/trainval/ID.mat             LabelMap: 459 classes; its boundaries, thinned, are the edges
    normals_distill/ID.png                     n = v / 127.5 - 1, made by a network; valid on indoor classes only
    sal_distill/ID.png                         salient where > 127, made by a network

Photos have different sizes; they are read when they are needed. Unknown values in a sample: labels 255, normals
(0, 0, 0), saliency and edges 255.
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

from .photo_files import read_labelled_photo
from .samples import IMAGE_MEAN, batch_indices, generator, jitter_colour, normalise, unit_vectors
from .thinning import thin

UNKNOWN = 255
CLASS_NAMES = tuple(
    "background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,"
    "person,pottedplant,sheep,sofa,train,tvmonitor".split(",")
)
PART_NAMES = ("background", "head", "torso", "upper arm", "lower arm", "upper leg", "lower leg")
_PERSON = 15
_PARTS = {
    **dict.fromkeys("hair head lear rear lebrow rebrow leye reye mouth nose".split(), 1),
    **dict.fromkeys("neck torso".split(), 2),
    **dict.fromkeys("luarm ruarm".split(), 3),
    **dict.fromkeys("lhand rhand llarm rlarm".split(), 4),
    **dict.fromkeys("luleg ruleg".split(), 5),
    **dict.fromkeys("lfoot rfoot llleg rlleg".split(), 6),
}
# Classes of LabelMap whose names are classes of NYU Depth v2, too, and tvmonitor: the network behind the normals knew
# rooms only. (MTI-Net's repository computes these numbers from its two lists of class names.)
NORMAL_CLASSES = np.array(
    [
        int(number)
        for number in """
3 4 6 9 10 11 13 15 17 18 22 23 29 30 33 34 36 37 38 39 41 43 46 49 50 51 53 55 56 59 61 62 65 66 68 69 72 73 78 83 84 85
87 88 95 96 101 104 105 107 111 113 115 122 124 135 141 142 143 146 150 154 157 158 159 165 172 174 181 183 184 191 193
195 197 199 202 213 215 216 219 220 223 225 228 230 232 233 238 239 242 243 246 250 251 252 255 260 261 263 269 272 273
275 281 283 284 285 286 287 288 290 291 292 293 295 304 307 309 310 314 315 319 323 329 330 331 336 342 345 349 350 351
352 355 357 368 370 371 374 379 380 383 384 397 401 403 405 407 408 411 412 413 414 417 419 421 423 427 429 430 432 440
441 442 443 444 446 454 457""".split()
    ]
)
ROTATION, SCALE = 20.0, (0.75, 1.25)  # degrees to both sides; MTI-Net's augmentation


class PascalFrames(NamedTuple):
    """Some photos of the archive, and which tasks' labels are read."""

    root: Path
    ids: List[str]
    tasks: Tuple[str, ...]


def read_list(root: Path, name: str) -> List[str]:
    """IDs of ``train`` or ``val`` (``test`` means val: the data has no public test part)."""
    path = Path(root) / "ImageSets" / "Context" / f"{'val' if name == 'test' else name}.txt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; is {root} the folder PASCAL_MT?")
    return path.read_text().split()


def load_frames(root: Path, ids: Sequence[str], tasks: Sequence[str]) -> PascalFrames:
    """Nothing is read yet; the photos must be there."""
    for i in ids:
        if not (Path(root) / "JPEGImages" / f"{i}.jpg").is_file():
            raise FileNotFoundError(f"{Path(root) / 'JPEGImages' / f'{i}.jpg'}: listed, but missing")
    return PascalFrames(Path(root), list(ids), tuple(tasks))


def _load_mat(path: Path) -> dict:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ValueError("PASCAL's .mat files need scipy: pip install scipy") from error
    return loadmat(path, squeeze_me=True, struct_as_record=False)


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)  # a palette's indices, not its colours


def _fitting(array: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """(H, W) resized by nearest where a file of the archive is not of the photo's size."""
    if array.shape == size:
        return array
    rows, columns = ((np.arange(n) * old // n) for n, old in zip(size, array.shape))
    return array[rows[:, None], columns]


def human_parts(anno, size: Tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 parts 1..6 of all persons, later objects over earlier ones; 0 elsewhere."""
    result = np.zeros(size, np.uint8)
    for item in np.atleast_1d(anno.objects):
        if int(item.class_ind) != _PERSON:
            continue
        for part in np.atleast_1d(item.parts):
            result[_fitting(np.asarray(part.mask, bool), size)] = _PARTS[str(part.part_name)]
    return result


def label_boundaries(labels: np.ndarray) -> np.ndarray:
    """(H, W) booleans: where the Laplacian of the class numbers is not 0, thinned (as in MTI-Net's reader)."""
    padded = np.pad(labels.astype(np.int64), 1, mode="reflect")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return thin(neighbours != 4 * labels.astype(np.int64))


def read_frame(frames: PascalFrames, index: int) -> Dict[str, np.ndarray]:
    """Photo (H, W, 3) uint8 and the tasks' labels at its size: semseg, human_parts, sal (H, W) uint8, edge (H, W)
    bool, normals (H, W, 3) float32, unit length or 0."""
    root, name = frames.root, frames.ids[index]
    result = {"image": np.asarray(read_labelled_photo(root / "JPEGImages" / f"{name}.jpg"))}
    size = result["image"].shape[:2]
    if {"edge", "normals"} & set(frames.tasks):
        context = _fitting(_load_mat(root / "pascal-context" / "trainval" / f"{name}.mat")["LabelMap"], size)
    if "semseg" in frames.tasks:
        path = root / "semseg" / "VOC12" / f"{name}.png"
        path = path if path.is_file() else root / "semseg" / "pascal-context" / f"{name}.png"
        result["semseg"] = _fitting(_pixels(path), size)
    if "human_parts" in frames.tasks:
        result["human_parts"] = human_parts(_load_mat(root / "human_parts" / f"{name}.mat")["anno"], size)
    if "sal" in frames.tasks:
        result["sal"] = (_fitting(_pixels(root / "sal_distill" / f"{name}.png"), size) > 127).astype(np.uint8)
    if "edge" in frames.tasks:
        result["edge"] = label_boundaries(context)
    if "normals" in frames.tasks:
        stored = _pixels(root / "normals_distill" / f"{name}.png")
        normal = np.stack([_fitting(stored[..., i], size) for i in range(3)], -1).astype(np.float32) / 127.5 - 1
        length = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        result["normals"] = normal / length * np.isin(context, NORMAL_CLASSES)[..., None]
    return result


class Motion(NamedTuple):
    """An augmentation: mirrored or not, turned counter-clockwise by ``degrees`` and enlarged by ``scale``."""

    flip: bool
    degrees: float
    scale: float


def random_motion(rng: torch.Generator) -> Motion:
    """Mirrored half of the time, a turn in -20..20 degrees, a scale in 0.75..1.25."""
    u = torch.rand(3, generator=rng).tolist()
    return Motion(u[0] < 0.5, (2 * u[1] - 1) * ROTATION, SCALE[0] + u[2] * (SCALE[1] - SCALE[0]))


def _sampling_grid(motion: Motion, source: Tuple[int, int], size: Tuple[int, int]) -> Tensor:
    """(1, H, W, 2) places in the photo, in grid_sample's units, of the pixels of a sample of ``size``.

    The photo is turned about its middle in its own pixels, cut to its own frame, then stretched to ``size``.
    """
    ys, xs = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in size)
    y, x = torch.meshgrid(ys * source[0] / 2, xs * source[1] / 2, indexing="ij")
    a = math.radians(motion.degrees)
    back_x = (math.cos(a) * x - math.sin(a) * y) / motion.scale
    back_y = (math.sin(a) * x + math.cos(a) * y) / motion.scale
    if motion.flip:
        back_x = -back_x
    return torch.stack((back_x / (source[1] / 2), back_y / (source[0] / 2)), -1).unsqueeze(0)


def turn_normals(normals: Tensor, motion: Motion) -> Tensor:
    """(3, H, W) vectors under the motion: x negated by a flip, then (x, y) turned with the image. The archive's y axis
    is that of the rows (MTI-Net's reader turns so): a quarter turn counter-clockwise takes (0, 1) to (1, 0)."""
    x, y, z = normals
    if motion.flip:
        x = -x
    a = math.radians(motion.degrees)
    return torch.stack((math.cos(a) * x + math.sin(a) * y, math.cos(a) * y - math.sin(a) * x, z))


def _sample(array: np.ndarray, grid: Tensor, mode: str) -> Tensor:
    """(channels, H, W) values of an (h, w) or (h, w, channels) array at the places of a grid."""
    x = torch.tensor(array).float()
    x = x.unsqueeze(0) if x.dim() == 2 else x.permute(2, 0, 1)
    return F.grid_sample(x.unsqueeze(0), grid, mode=mode, padding_mode="border", align_corners=False)[0]


def _inside(grid: Tensor) -> Tensor:
    """(H, W) bool: the place lies in the photo."""
    return (grid.abs() <= 1).all(-1)[0]


def make_image(photo: np.ndarray, motion: Motion, size: Tuple[int, int]) -> Tensor:
    """(3, H, W) in 0..1, the mean colour outside the photo."""
    grid = _sampling_grid(motion, photo.shape[:2], size)
    return torch.where(_inside(grid), _sample(photo, grid, "bilinear") / 255, torch.tensor(IMAGE_MEAN).view(3, 1, 1))


def make_sample(
    frame: Dict[str, np.ndarray], motion: Motion, size: Tuple[int, int], image_size: Optional[Tuple[int, int]] = None
) -> Dict[str, Tensor]:
    """One training sample: image (perhaps at a size of its own), labels sampled by nearest (unknown outside).

    A photo without a person teaches nothing about parts: its human_parts are unknown everywhere.
    """
    grid = _sampling_grid(motion, frame["image"].shape[:2], size)
    inside = _inside(grid)

    def sample(array: np.ndarray, mode: str) -> Tensor:
        return _sample(array, grid, mode)

    result = {"image": make_image(frame["image"], motion, image_size or size)}
    for task in frame.keys() - {"image", "normals"}:
        labels = torch.where(inside, sample(frame[task], "nearest"), torch.tensor(float(UNKNOWN)))
        result[task] = labels[0].long() if task in ("semseg", "human_parts") else labels
    if "human_parts" in result and not ((result["human_parts"] > 0) & (result["human_parts"] != UNKNOWN)).any():
        result["human_parts"].fill_(UNKNOWN)
    if "normals" in frame:
        known = inside & (sample(np.abs(frame["normals"]).sum(-1), "nearest")[0] > 0)
        result["normals"] = unit_vectors(turn_normals(sample(frame["normals"], "bilinear"), motion), 0) * known
    return result


def make_batch(
    frames: PascalFrames,
    seed: int,
    step: int,
    batch: int,
    size: Tuple[int, int],
    colour: float = 0.0,
    part: slice = slice(None),
    image_size: Optional[Tuple[int, int]] = None,
) -> Dict[str, Tensor]:
    """The batch of one step (or some of its samples), a function of (seed, step) alone like NYUD's."""
    samples = []
    for position, index in list(enumerate(batch_indices(seed, step, batch, len(frames.ids))))[part]:
        rng = generator(seed, 2, step, position)
        sample = make_sample(read_frame(frames, index), random_motion(rng), size, image_size)
        sample["image"] = jitter_colour(sample["image"], rng, colour)
        samples.append(sample)
    result = {key: torch.stack([s[key] for s in samples]) for key in samples[0]}
    result["image"] = normalise(result["image"]).contiguous(memory_format=torch.channels_last)
    return result
