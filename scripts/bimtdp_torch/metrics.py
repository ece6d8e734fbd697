# SPDX-License-Identifier: Apache-2.0
"""Dataset-wide metrics: mIoU, pixel accuracy, depth RMSE, mean angular error of normals, edge F.

All are accumulated over every valid pixel of the set, not averaged over photos.
"""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np

from .data import IGNORE_LABEL

EDGE_THRESHOLDS = np.arange(1, 100) / 100.0


class SegmentationMeter:
    """Confusion matrix; absent classes count as IoU 0, as in MTI-Net's evaluation."""

    def __init__(self, classes: int = 39, ignore: int = IGNORE_LABEL):
        self.classes, self.ignore = classes, ignore
        self.confusion = np.zeros((classes, classes), np.int64)  # [truth, prediction]

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) class indices each."""
        valid = truth != self.ignore
        index = truth[valid].astype(np.int64) * self.classes + prediction[valid].astype(np.int64)
        self.confusion += np.bincount(index, minlength=self.classes ** 2).reshape(self.classes, self.classes)

    def result(self) -> Dict[str, float]:
        hits = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hits
        iou = hits / np.maximum(union, 1e-8)
        return {"miou": 100 * iou.mean(), "pixel_accuracy": 100 * hits.sum() / max(self.confusion.sum(), 1)}


class DepthMeter:
    """Root of the mean squared error over all pixels with known depth, metres."""

    def __init__(self):
        self.squares, self.count = 0.0, 0

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) metres each; truth 0 is unknown."""
        valid = truth > 0
        error = np.maximum(prediction[valid], 1e-9).astype(np.float64) - truth[valid]
        self.squares += float((error ** 2).sum())
        self.count += int(valid.sum())

    def result(self) -> Dict[str, float]:
        return {"rmse": float(np.sqrt(self.squares / max(self.count, 1)))}


class NormalsMeter:
    """Mean angle in degrees; angle = 2 atan2(|p - g|, |p + g|) is accurate near 0 and 180 degrees."""

    def __init__(self):
        self.degrees, self.count = 0.0, 0

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """(H, W, 3) vectors each, normalised here; truth of length 0 is unknown."""
        length = np.linalg.norm(truth, axis=-1)
        valid = length > 0
        g = truth[valid].astype(np.float64) / length[valid][:, None]
        p = prediction[valid].astype(np.float64)
        p = p / np.maximum(np.linalg.norm(p, axis=-1, keepdims=True), 1e-12)
        angle = 2 * np.arctan2(np.linalg.norm(p - g, axis=-1), np.linalg.norm(p + g, axis=-1))
        self.degrees += float(np.degrees(angle).sum())
        self.count += int(valid.sum())

    def result(self) -> Dict[str, float]:
        return {"normals_degrees": self.degrees / max(self.count, 1)}


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilation of (H, W) by a disc."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    result = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx <= radius * radius:
                result |= padded[radius + dy:radius + dy + height, radius + dx:radius + dx + width]
    return result


class EdgeMeter:
    """F of edges within a tolerance at the best threshold of the whole set.

    An approximation of odsF: pixels match anything within the tolerance (no thinning, no one-to-one matching).
    """

    def __init__(self, tolerance: int = 2):
        self.tolerance = tolerance
        self.counts = np.zeros((len(EDGE_THRESHOLDS), 3), np.int64)  # predicted, predicted near truth, truth found
        self.truth = 0

    def update(self, probability: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) probabilities and booleans."""
        near_truth = _dilate(truth, self.tolerance)
        self.truth += int(truth.sum())
        # The level of a pixel is how many thresholds it passes; near a true edge the best neighbour counts.
        level = np.searchsorted(EDGE_THRESHOLDS, probability, side="right")
        best = level.copy()
        radius = self.tolerance
        padded = np.pad(level, radius)
        height, width = level.shape
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy * dy + dx * dx <= radius * radius:
                    np.maximum(best, padded[radius + dy:radius + dy + height, radius + dx:radius + dx + width], out=best)
        size = len(EDGE_THRESHOLDS) + 1
        for column, values in enumerate((level, level[near_truth], best[truth])):
            histogram = np.bincount(values.ravel(), minlength=size)
            self.counts[:, column] += histogram[::-1].cumsum()[::-1][1:]

    def result(self) -> Dict[str, float]:
        predicted, correct, found = self.counts.T.astype(np.float64)
        precision = correct / np.maximum(predicted, 1)
        recall = found / max(self.truth, 1)
        f = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return {"edge_f": float(f.max())}


class Metrics:
    """The four tasks together. Maps are float arrays (H, W, C) at label size, as the networks give them."""

    def __init__(self, classes: int = 39):
        self.meters = {"semseg": SegmentationMeter(classes), "depth": DepthMeter(), "normals": NormalsMeter(),
                       "edge": EdgeMeter()}

    def update(self, maps: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> None:
        """``truth``: semseg (H, W) int, depth (H, W), normals (H, W, 3), edge (H, W) bool."""
        if "semseg" in maps:
            self.meters["semseg"].update(maps["semseg"].argmax(-1), truth["semseg"])
        if "depth" in maps:
            self.meters["depth"].update(maps["depth"][..., 0], truth["depth"])
        if "normals" in maps:
            self.meters["normals"].update(maps["normals"], truth["normals"])
        if "edge" in maps:
            self.meters["edge"].update(1 / (1 + np.exp(-maps["edge"][..., 0])), truth["edge"])

    def result(self) -> Dict[str, float]:
        return {k: float(v) for meter in self.meters.values() for k, v in meter.result().items()}
