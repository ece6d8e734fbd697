# SPDX-License-Identifier: Apache-2.0
"""What samples of all data sets share: the networks' input, random numbers, the order of photos, what is unknown.

Everything random is a function of (seed, step), so a resumed run sees the same data.
"""

from __future__ import annotations

from typing import List, TypeVar

import numpy as np
import torch
from torch import Tensor

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
IGNORE_LABEL = 39  # of NYUD; PASCAL's is 255
LABEL_TASKS = ("semseg", "human_parts")
Labels = TypeVar("Labels", Tensor, np.ndarray)


def normalise(image: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..1 -> the networks' input."""
    mean = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGE_STD).view(1, 3, 1, 1)
    return (image - mean) / std


def to_input(photos: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 photos -> the networks' input (N, 3, H, W), channels last."""
    x = torch.from_numpy(np.array(photos)).permute(0, 3, 1, 2).float() / 255
    return normalise(x).contiguous(memory_format=torch.channels_last)


def unit_vectors(x: Tensor, dim: int) -> Tensor:
    """x / |x| over ``dim``; a zero vector stays zero. F.normalize reduces an outer dimension of three many times slower."""
    return x * x.square().sum(dim, keepdim=True).clamp(min=1e-24).rsqrt()


def generator(seed: int, *stream: int) -> torch.Generator:
    """Random numbers that depend on (seed, stream) alone."""
    mixed = np.random.SeedSequence((seed, *stream)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))


def batch_indices(seed: int, step: int, batch: int, count: int) -> List[int]:
    """Indices of one batch: consecutive pieces of a fresh permutation per pass over the data."""
    indices = []
    for position in range(step * batch, (step + 1) * batch):
        if position % count == 0 or not indices:
            order = torch.randperm(count, generator=generator(seed, 1, position // count))
        indices.append(int(order[position % count]))
    return indices


def jitter_colour(image: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Brightness, contrast, saturation and tint of (3, H, W) values in 0..1."""
    if strength == 0:
        return image
    u = (torch.rand(6, generator=rng) * 2 - 1) * strength
    image = image * (1 + u[0])
    image = (image - image.mean()) * (1 + u[1]) + image.mean()
    grey = image.mean(0, keepdim=True)
    image = grey + (image - grey) * (1 + u[2])
    return (image * (1 + 0.25 * u[3:6].view(3, 1, 1))).clamp(0, 1)


def valid_pixels(task: str, target: Labels) -> Labels:
    """Bool mask of pixels that count, for losses and metrics alike: of a batch's tensor (B, ..), or of one photo's array
    (H, W), normals (H, W, 3).

    Labels from 39 on (NYUD's 39, PASCAL's 255), depth 0, normals (0, 0, 0) and edge or saliency values other than 0 and 1
    are unknown.
    """
    if task in LABEL_TASKS:
        return target < IGNORE_LABEL
    if task == "depth":
        return target > 0
    if task == "normals":
        return target.abs().sum(1, keepdim=True) > 0 if isinstance(target, Tensor) else np.abs(target).sum(-1) > 0
    return target <= 1


def unknown_target(task: str, like: Tensor, count: int) -> Tensor:
    """Targets of ``count`` photos of which nothing is known, otherwise shaped like ``like`` (B, ..)."""
    return like.new_full((count, *like.shape[1:]), 0 if task in ("depth", "normals") else 255)
