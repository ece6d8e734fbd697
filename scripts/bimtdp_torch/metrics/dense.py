# SPDX-License-Identifier: Apache-2.0
"""Classes, depth and normals: pooled over every known pixel of the set (``samples.valid_pixels``), not averaged over
photos. The figures are NaN where no pixel was known."""

from __future__ import annotations

import math
from typing import Dict

import numpy as np

from ..data.samples import valid_pixels


class SegmentationMeter:
    """Confusion matrix; absent classes count as IoU 0, as in MTI-Net's evaluation."""

    def __init__(self, classes: int = 39):
        self.classes = classes
        self.confusion = np.zeros((classes, classes), np.int64)  # [truth, prediction]

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) class indices each. ValueError: the truth names a class that is none."""
        valid = valid_pixels("semseg", truth)
        if valid.any() and truth[valid].max() >= self.classes:
            raise ValueError(f"a label {truth[valid].max()} in the ground truth, expected 0 to {self.classes - 1} or unknown")
        index = truth[valid].astype(np.int64) * self.classes + prediction[valid].astype(np.int64)
        self.confusion += np.bincount(index, minlength=self.classes**2).reshape(self.classes, self.classes)

    def result(self) -> Dict[str, float]:
        hits = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hits
        iou = hits / np.maximum(union, 1e-8)
        known = int(self.confusion.sum())
        if not known:
            return {"miou": math.nan, "pixel_accuracy": math.nan}
        return {"miou": 100 * iou.mean(), "pixel_accuracy": 100 * hits.sum() / known}


class HumanPartsMeter(SegmentationMeter):
    """Background and six parts of the body; photos whose truth holds nothing but background (or nothing known) do not
    count, as in MTI-Net's evaluation."""

    def __init__(self, classes: int = 7):
        super().__init__(classes)

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        if truth.any():
            super().update(prediction, truth)

    def result(self) -> Dict[str, float]:
        return {"human_parts_miou": super().result()["miou"]}


class DepthMeter:
    """Root of the mean squared error over all pixels with known depth, metres, and the same of natural logarithms."""

    def __init__(self):
        self.squares, self.log_squares, self.count = 0.0, 0.0, 0

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) metres each; truth 0 is unknown. Predictions are at least 1e-9, as in MTI-Net's evaluation."""
        valid = valid_pixels("depth", truth)
        p, g = np.maximum(prediction[valid], 1e-9).astype(np.float64), truth[valid]
        self.squares += float(((p - g) ** 2).sum())
        self.log_squares += float(((np.log(p) - np.log(g)) ** 2).sum())
        self.count += int(valid.sum())

    def result(self) -> Dict[str, float]:
        if not self.count:
            return {"rmse": math.nan, "log_rmse": math.nan}
        return {"rmse": math.sqrt(self.squares / self.count), "log_rmse": math.sqrt(self.log_squares / self.count)}


class NormalsMeter:
    """Angles between vectors in degrees: mean, median and the shares (%) under 11.25, 22.5 and 30 degrees.

    angle = 2 atan2(|p - g|, |p + g|) is accurate near 0 and 180 degrees. The median comes from a histogram.
    """

    LIMITS = {"normals_11_25": 11.25, "normals_22_5": 22.5, "normals_30": 30.0}
    BIN = 0.01  # degrees

    def __init__(self):
        self.degrees, self.count = 0.0, 0
        self.below = dict.fromkeys(self.LIMITS, 0)
        self.histogram = np.zeros(round(180 / self.BIN) + 1, np.int64)

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W, 3) vectors each, normalised here; truth of length 0 is unknown."""
        length = np.linalg.norm(truth, axis=-1)
        valid = valid_pixels("normals", truth)
        g = truth[valid].astype(np.float64) / length[valid][:, None]
        p = prediction[valid].astype(np.float64)
        p = p / np.maximum(np.linalg.norm(p, axis=-1, keepdims=True), 1e-12)
        angle = np.degrees(2 * np.arctan2(np.linalg.norm(p - g, axis=-1), np.linalg.norm(p + g, axis=-1)))
        self.degrees += float(angle.sum())
        self.count += int(valid.sum())
        for name, limit in self.LIMITS.items():
            self.below[name] += int((angle < limit).sum())
        self.histogram += np.bincount((angle / self.BIN).astype(np.int64), minlength=len(self.histogram))

    def result(self) -> Dict[str, float]:
        if not self.count:
            return dict.fromkeys(("normals_degrees", "normals_median", *self.LIMITS), math.nan)
        median = np.searchsorted(self.histogram.cumsum(), 0.5 * self.count) + 0.5
        return {
            "normals_degrees": self.degrees / self.count,
            "normals_median": float(median * self.BIN),
            **{name: 100 * below / self.count for name, below in self.below.items()},
        }
