# SPDX-License-Identifier: Apache-2.0
"""Maps as pictures, with the colours of the C++ library (include/bimtdp/image/colour.hpp), and colours of plots."""

from __future__ import annotations

import colorsys
from typing import Optional, Tuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ..data.samples import valid_pixels
from ..metrics import sigmoid

# Okabe and Ito's colours, told apart with every common colour blindness (yellow last: weak on white).
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
MARKERS = "os^DvPX*<>"

HUMAN_PARTS = 7  # classes of human_parts, the background among them

# From near (light yellow) to far (dark blue), evenly darker, so that it is also read in grey.
DEPTH = LinearSegmentedColormap.from_list(
    "bimtdp_depth",
    [
        tuple(v / 255 for v in stop)
        for stop in ((8, 10, 50), (58, 16, 110), (122, 30, 120), (184, 52, 92), (232, 98, 52), (250, 168, 54), (252, 244, 170))
    ][::-1],
)


def palette(count: int) -> np.ndarray:
    """(count, 3) uint8: hues a golden section apart, in three changing brightnesses and saturations."""
    tones = ((0.62, 0.95), (0.85, 0.70), (0.38, 0.85))
    colours = []
    for i in range(count):
        hue = (0.58 + 0.6180339887498949 * (i // 3) + (i % 3) / 3) % 1.0
        colours.append(colorsys.hsv_to_rgb(hue, *tones[i % 3]))
    return (np.array(colours).reshape(count, 3) * 255 + 0.5).astype(np.uint8)


def colour_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    """(H, W) class indices -> (H, W, 3) uint8; black outside the classes (unlabelled)."""
    table = np.concatenate([palette(classes), np.zeros((1, 3), np.uint8)])
    inside = (labels >= 0) & (labels < classes)
    return table[np.where(inside, labels, classes)]


def colour_depth(depth: np.ndarray, limits: Tuple[float, float]) -> np.ndarray:
    """(H, W) metres -> (H, W, 3) uint8 between ``limits`` (near, far)."""
    near, far = limits
    return (DEPTH(np.clip((depth - near) / max(far - near, 1e-6), 0, 1))[..., :3] * 255 + 0.5).astype(np.uint8)


def colour_normals(normals: np.ndarray) -> np.ndarray:
    """(H, W, 3) vectors -> RGB (n + 1) / 2."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return ((normals / np.maximum(length, 1e-12) + 1) * 127.5 + 0.5).astype(np.uint8)


def colour_probability(probability: np.ndarray) -> np.ndarray:
    """(H, W) in 0..1 -> grey, white is 1."""
    grey = (np.clip(probability, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def picture(task: str, value: np.ndarray, depth_limits: Tuple[float, float], classes: Optional[int] = None) -> np.ndarray:
    """A network's raw map (H, W, C) as an RGB picture of the task."""
    if task in ("semseg", "human_parts"):
        return colour_labels(value.argmax(-1), classes or value.shape[-1])
    if task == "depth":
        return colour_depth(value[..., 0], depth_limits)
    if task == "normals":
        return colour_normals(value)
    # edge, saliency: logits; two channels are a softmax's (saliency of other code bases)
    return colour_probability(sigmoid(value[..., 0] if value.shape[-1] == 1 else value[..., 1] - value[..., 0]))


def truth_picture(task: str, value: np.ndarray, depth_limits: Tuple[float, float], classes: int) -> np.ndarray:
    """Ground truth, as ``inputs.Photos`` holds it, as an RGB picture, black where depth or class is unknown."""
    if task in ("semseg", "human_parts"):
        return colour_labels(value, classes if task == "semseg" else HUMAN_PARTS)
    if task == "depth":
        return colour_depth(value, depth_limits) * valid_pixels(task, value)[..., None]
    if task == "normals":
        return colour_normals(value)
    return colour_probability(value.astype(np.float32))
