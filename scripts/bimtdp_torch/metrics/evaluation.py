# SPDX-License-Identifier: Apache-2.0
"""Scores predicted maps: photo -> network size -> maps -> label size -> scored part -> metrics.

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
from tqdm import tqdm

from ..data import nyud, pascal
from ..data.datasets import AnyFrames, scored
from ..data.samples import to_input
from . import MAX_DISTANCE, Metrics

# A predictor maps (N, H, W, 3) uint8 photos to task -> (H, W, C) float32, one dict a photo, in order.
Predictor = Callable[[np.ndarray], Iterable[Dict[str, np.ndarray]]]
_CHUNK = 48  # photos that are predicted in one call: bounds the memory


def resize_photos(images: Tensor, size: Tuple[int, int]) -> np.ndarray:
    """(N, 3, h, w) uint8 -> (N, H, W, 3) uint8, bilinear with antialiasing (Pillow)."""
    photos = images.permute(0, 2, 3, 1).numpy()
    if photos.shape[1:3] == tuple(size):
        return photos
    return np.stack([np.asarray(Image.fromarray(p).resize((size[1], size[0]), Image.BILINEAR)) for p in photos])


def torch_predictor(network: nn.Module, batch: int = 8, bf16: bool = False) -> Predictor:
    """Predictor of a PyTorch network in evaluation mode, on the network's device."""
    device = next(network.parameters()).device

    def predict(photos: np.ndarray):
        for start in range(0, len(photos), batch):
            x = to_input(photos[start : start + batch]).to(device)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                maps = network(x)
            arrays = {task: m.float().permute(0, 2, 3, 1).cpu().numpy() for task, m in maps.items()}
            for i in range(len(x)):
                yield {task: a[i] for task, a in arrays.items()}

    return predict


def to_label_size(array: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Bilinear resize of (H, W, C) to the label size."""
    if array.shape[:2] == tuple(size):
        return array
    x = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).unsqueeze(0)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


def metrics_of(frames: AnyFrames) -> Metrics:
    """Empty metrics with the data's number of classes and tolerance of edges."""
    if isinstance(frames, nyud.Frames):
        return Metrics(len(nyud.CLASS_NAMES), MAX_DISTANCE["nyud"])
    return Metrics(len(pascal.CLASS_NAMES), MAX_DISTANCE["pascal"])


def score(frames: AnyFrames, predictor: Predictor, size: Tuple[int, int], progress: bool = False) -> Dict[str, float]:
    """Metrics of ``predictor`` at network size ``size``; see ``datasets.scored`` for what is compared."""
    metrics = metrics_of(frames)
    for start in tqdm(
        range(0, len(frames.ids), _CHUNK), desc="photos", unit_scale=_CHUNK, disable=not progress, dynamic_ncols=True
    ):
        items = [scored(frames, index) for index in range(start, min(start + _CHUNK, len(frames.ids)))]
        photos = np.concatenate([resize_photos(item.photo.unsqueeze(0), size) for item in items])
        for item, maps in zip(items, predictor(photos)):
            label_size = tuple(item.photo.shape[1:])
            metrics.update({task: to_label_size(m, label_size)[item.window] for task, m in maps.items()}, item.truth)
    return metrics.result()


def format_metrics(metrics: Dict[str, float]) -> str:
    """One line for people: the figure of each task and what stands beside it."""
    units: List[Tuple[str, str]] = [
        ("miou", "mIoU {:.2f} %"),
        ("pixel_accuracy", "pixel accuracy {:.2f} %"),
        ("human_parts_miou", "parts mIoU {:.2f} %"),
        ("sal_maxf", "saliency maxF {:.2f} %"),
        ("sal_miou", "saliency mIoU {:.2f} %"),
        ("rmse", "RMSE {:.3f} m"),
        ("normals_degrees", "normals {:.2f} deg"),
        ("normals_11_25", "under 11.25 deg {:.1f} %"),
        ("odsf", "odsF {:.2f} %"),
        ("edge_f", "edge F {:.3f}"),
    ]
    return ", ".join(text.format(metrics[key]) for key, text in units if key in metrics)
