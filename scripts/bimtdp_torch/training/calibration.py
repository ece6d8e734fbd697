# SPDX-License-Identifier: Apache-2.0
"""What is set after training from whole frames: statistics, the scale of depth, the prior of the classes.

Training sees crops enlarged up to 1.7 times, whose depth is divided by the zoom; a whole frame lies at the edge of
that range, so its depth comes out some 10 % too small. The correction is an affine map, folded into the depth head's
last layer. Rare classes gain from subtracting a share of the log prior from the logits, folded into a bias.
"""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from ..data.datasets import AnyFrames, scored
from ..data.nyud import Frames
from ..data.samples import to_input, valid_pixels
from ..metrics.evaluation import resize_photos, to_label_size, torch_predictor
from .batch_norm import recalibrate


def whole_frames(frames: AnyFrames, size: Tuple[int, int], count: int, device: torch.device, batch: int = 16) -> Iterator[Tensor]:
    """Network inputs of ``count`` frames spread over the list, every second one mirrored."""
    indices = np.linspace(0, len(frames.ids) - 1, min(count, len(frames.ids))).astype(int)
    for start in range(0, len(indices), batch):
        photos = np.concatenate(
            [resize_photos(scored(frames, int(index)).photo.unsqueeze(0), size) for index in indices[start : start + batch]]
        )
        x = to_input(photos)
        x[::2] = x[::2].flip(3)
        yield x.to(device)


def fit_depth(network: nn.Module, frames: AnyFrames, size: Tuple[int, int]) -> Tuple[float, float]:
    """(a, b) that minimise the squared error of a * prediction + b on the scored part of ``frames``."""
    predicted, truth = [], []
    predictor = torch_predictor(network)
    for index in range(len(frames.ids)):
        item = scored(frames, index)
        (maps,) = predictor(resize_photos(item.photo.unsqueeze(0), size))
        prediction = to_label_size(maps["depth"], tuple(item.photo.shape[1:]))[item.window][..., 0]
        predicted.append(prediction[::4, ::4].ravel())
        truth.append(item.truth["depth"][::4, ::4].ravel())
    p, g = np.concatenate(predicted).astype(np.float64), np.concatenate(truth)
    known = valid_pixels("depth", g)
    if not known.any():
        raise ValueError("the validation frames have no measured depth to fit the depth's scale to")
    a, b = np.polyfit(p[known], g[known], 1)
    return float(a), float(b)


def log_prior(frames: AnyFrames, classes: int) -> Tensor:
    """Logarithm of each class's share of the labelled pixels (at least one pixel each)."""
    labels = (
        [frames.label]
        if isinstance(frames, Frames)
        else (torch.from_numpy(scored(frames, index).truth["semseg"]) for index in range(len(frames.ids)))
    )
    counts = sum(torch.bincount(label[valid_pixels("semseg", label)].long(), minlength=classes) for label in labels)
    counts = counts.double().clamp(min=1)
    return (counts / counts.sum()).log().float()


def last_convolution(network: nn.Module, task: str) -> nn.Conv2d:
    """The layer that makes a task's map: it has as many outputs as the task, and nothing comes behind it."""
    return [
        m
        for m in network.heads_by_task()[task].modules()
        if isinstance(m, nn.Conv2d) and m.bias is not None and m.out_channels == network.tasks[task]
    ][-1]


@torch.no_grad()
def calibrate(
    network: nn.Module,
    training: AnyFrames,
    validation: AnyFrames,
    size: Tuple[int, int],
    *,
    tau: float = 0.15,
    statistics_frames: int = 256,
    frozen=(),
) -> Dict[str, float]:
    """Applies what the network's tasks allow of the three corrections, in place; returns what was found.

    ``validation`` fits the depth. All of it in float32, as the C++ library computes, also where the training was in bf16.
    """
    device, found = next(network.parameters()).device, {}
    if statistics_frames > 0:
        recalibrate(network, whole_frames(training, size, statistics_frames, device), frozen)
    network.eval()
    if "depth" in network.tasks:
        a, b = fit_depth(network, validation, size)
        last = last_convolution(network, "depth")
        last.weight.mul_(a)
        last.bias.mul_(a).add_(b)
        found.update(depth_scale=a, depth_offset=b)
    if "semseg" in network.tasks:
        last = last_convolution(network, "semseg")
        last.bias.sub_(tau * log_prior(training, last.out_channels).to(device))
        found["prior_share"] = tau
    return found
