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

from .data import IGNORE_LABEL, SCORED_COLUMNS, SCORED_ROWS, INNER_COLUMNS, INNER_ROWS, Frames, normalise
from .evaluation import resize_photos, to_label_size, torch_predictor
from .training import recalibrate


def whole_frames(frames: Frames, size: Tuple[int, int], count: int, batch: int = 16) -> Iterator[Tensor]:
    """Network inputs of ``count`` frames spread over the list, every second one mirrored."""
    indices = np.linspace(0, len(frames.ids) - 1, min(count, len(frames.ids))).astype(int)
    for start in range(0, len(indices), batch):
        photos = resize_photos(frames.image[indices[start:start + batch]], size)
        x = torch.from_numpy(photos.copy()).permute(0, 3, 1, 2).float() / 255
        x[::2] = x[::2].flip(3)
        yield normalise(x).contiguous(memory_format=torch.channels_last)


def fit_depth(network: nn.Module, frames: Frames, size: Tuple[int, int], bf16: bool) -> Tuple[float, float]:
    """(a, b) that minimise the squared error of a * prediction + b on ``frames``."""
    rows = slice(SCORED_ROWS[0] - INNER_ROWS[0], SCORED_ROWS[1] - INNER_ROWS[0])
    columns = slice(SCORED_COLUMNS[0] - INNER_COLUMNS[0], SCORED_COLUMNS[1] - INNER_COLUMNS[0])
    predicted, truth = [], []
    for index, maps in enumerate(torch_predictor(network, bf16=bf16)(resize_photos(frames.image, size))):
        depth = frames.depth[index, 0].numpy()
        predicted.append(to_label_size(maps["depth"], depth.shape)[rows, columns, 0][::4, ::4].ravel())
        truth.append(depth[rows, columns][::4, ::4].ravel())
    p, g = np.concatenate(predicted).astype(np.float64), np.concatenate(truth)
    a, b = np.polyfit(p[g > 0], g[g > 0], 1)
    return float(a), float(b)


def log_prior(frames: Frames, classes: int) -> Tensor:
    """Logarithm of each class's share of the labelled pixels (at least one pixel each)."""
    counts = torch.bincount(frames.label.flatten().long(), minlength=IGNORE_LABEL + 1)[:classes].double().clamp(min=1)
    return (counts / counts.sum()).log().float()


@torch.no_grad()
def calibrate(network: nn.Module, training: Frames, validation: Frames, size: Tuple[int, int], *, tau: float = 0.15,
              statistics_frames: int = 256, bf16: bool = False, frozen=()) -> Dict[str, float]:
    """Applies the three corrections in place; returns what was found. ``validation`` fits the depth."""
    if statistics_frames > 0:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            recalibrate(network, whole_frames(training, size, statistics_frames), frozen)
    network.eval()
    a, b = fit_depth(network, validation, size, bf16)
    last = network.heads["depth"].last_layer["3"]
    last.weight.mul_(a)
    last.bias.mul_(a).add_(b)
    last = network.heads["semseg"].last_layer["3"]
    last.bias.sub_(tau * log_prior(training, last.out_channels))
    return {"depth_scale": a, "depth_offset": b, "prior_share": tau}
