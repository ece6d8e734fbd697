# SPDX-License-Identifier: Apache-2.0
"""Scores predicted maps on NYUDv2: photo -> network size -> maps -> label size -> scored crop -> metrics.

The photo is resized once, here, to 8-bit pixels, so that every predictor (PyTorch or the C++ library) sees the
same input; maps are resized back by one function too.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .data import (INNER_COLUMNS, INNER_ROWS, SCORED_COLUMNS, SCORED_ROWS, Frames, normalise)
from .metrics import Metrics

# A predictor maps (N, H, W, 3) uint8 photos to task -> (H, W, C) float32, one dict a photo, in order.
Predictor = Callable[[np.ndarray], Iterable[Dict[str, np.ndarray]]]


def resize_photos(images: Tensor, size: Tuple[int, int]) -> np.ndarray:
    """(N, 3, h, w) uint8 -> (N, H, W, 3) uint8, bilinear with antialiasing (Pillow)."""
    photos = images.permute(0, 2, 3, 1).numpy()
    if photos.shape[1:3] == tuple(size):
        return photos
    return np.stack([np.asarray(Image.fromarray(p).resize((size[1], size[0]), Image.BILINEAR)) for p in photos])


def torch_predictor(network: nn.Module, batch: int = 8, bf16: bool = False) -> Predictor:
    """Predictor of a PyTorch network in evaluation mode."""

    def predict(photos: np.ndarray):
        for start in range(0, len(photos), batch):
            x = torch.from_numpy(photos[start:start + batch].copy()).permute(0, 3, 1, 2).float() / 255
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                maps = network(normalise(x).contiguous(memory_format=torch.channels_last))
            arrays = {task: m.float().permute(0, 2, 3, 1).numpy() for task, m in maps.items()}
            for i in range(len(x)):
                yield {task: a[i] for task, a in arrays.items()}

    return predict


def to_label_size(array: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Bilinear resize of (H, W, C) to the label size."""
    if array.shape[:2] == tuple(size):
        return array
    x = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).unsqueeze(0)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


def score(frames: Frames, predictor: Predictor, size: Tuple[int, int], classes: int = 39) -> Dict[str, float]:
    """Metrics of ``predictor`` at network size ``size`` on frames that hold the inner part."""
    metrics = Metrics(classes)
    label_size = tuple(frames.image.shape[2:])
    rows = slice(SCORED_ROWS[0] - INNER_ROWS[0], SCORED_ROWS[1] - INNER_ROWS[0])
    columns = slice(SCORED_COLUMNS[0] - INNER_COLUMNS[0], SCORED_COLUMNS[1] - INNER_COLUMNS[0])
    for index, maps in enumerate(predictor(resize_photos(frames.image, size))):
        maps = {task: to_label_size(m, label_size)[rows, columns] for task, m in maps.items()}
        truth = {"semseg": frames.label[index, 0].numpy()[rows, columns],
                 "depth": frames.depth[index, 0].numpy()[rows, columns],
                 "normals": (frames.normal[index].permute(1, 2, 0).float() / 127.5 - 1).numpy()[rows, columns],
                 "edge": frames.edge[index, 0].numpy()[rows, columns].astype(bool)}
        metrics.update(maps, truth)
    return metrics.result()


def format_metrics(metrics: Dict[str, float]) -> str:
    """One line for people."""
    units: List[Tuple[str, str]] = [("miou", "mIoU {:.2f} %"), ("pixel_accuracy", "pixel accuracy {:.2f} %"),
                                    ("rmse", "RMSE {:.3f} m"), ("normals_degrees", "normals {:.2f} deg"),
                                    ("edge_f", "edge F {:.3f}")]
    return ", ".join(text.format(metrics[key]) for key, text in units if key in metrics)
