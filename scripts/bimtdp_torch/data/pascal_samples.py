# SPDX-License-Identifier: Apache-2.0
"""Samples of PASCAL-Context, augmented as in MTI-Net: mirrored, turned, scaled. Unknown values: labels 255, normals (0, 0, 0),
saliency and edges 255."""

from __future__ import annotations

import math
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .pascal import UNKNOWN, PascalFrames, read_frame
from .samples import IMAGE_MEAN, batch_indices, generator, jitter_colour, normalise, unit_vectors

ROTATION, SCALE = 20.0, (0.75, 1.25)  # degrees to both sides; MTI-Net's augmentation


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
