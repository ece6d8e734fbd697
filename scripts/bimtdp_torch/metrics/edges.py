# SPDX-License-Identifier: Apache-2.0
"""Edges: odsF, oisF and AP of the Berkeley benchmark, and a cheap F with a tolerance."""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np

from ..data.thinning import thin
from .matching import match_levels, suppress_non_maxima

EDGE_THRESHOLDS = np.arange(1, 100) / 100.0
# Share of the map's diagonal within which pixels may match; the values that the literature uses.
MAX_DISTANCE = {"nyud": 0.011, "pascal": 0.0075}


def _counts_from_above(values: np.ndarray) -> np.ndarray:
    """How many of the levels are at least 1, 2, .. 99."""
    return np.bincount(values.ravel(), minlength=len(EDGE_THRESHOLDS) + 1)[::-1].cumsum()[::-1][1:]


def _f(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


class BoundaryMeter:
    """``odsf``, ``oisf``, ``edge_ap`` in percent: F at the best threshold of the set, F where each photo has its own
    best threshold, and average precision (precision interpolated at recall 0, 0.01 .. 1, 0 beyond what was reached).

    Predictions (>= threshold, 0.01 .. 0.99) and truth are matched one to one within ``max_distance`` times the map's
    diagonal. The matching is the largest there is, whereas the benchmark's programs minimise the sum of distances with
    a price for what is left over, which comes to nearly the same. Before, the truth is thinned, and the prediction goes
    through non-maximum suppression once (not thinned again at each threshold).
    """

    def __init__(self, max_distance: float = MAX_DISTANCE["nyud"], suppress: bool = True):
        self.max_distance, self.suppress = max_distance, suppress
        self.photos: List[Tuple[np.ndarray, np.ndarray, int]] = []  # predicted, matched at each threshold; true pixels

    def update(self, probability: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) probabilities and booleans."""
        if self.suppress:
            probability = suppress_non_maxima(probability)
        truth = thin(truth.astype(bool))
        # The small number: 0.29 is 0.28999999999999998 and must pass the threshold 0.29.
        level = np.searchsorted(EDGE_THRESHOLDS, probability + 1e-12, side="right")
        matched = np.zeros(len(EDGE_THRESHOLDS), np.int64)
        found = match_levels(level, truth, self.max_distance * float(np.hypot(*truth.shape)))
        matched[: len(found)] = found
        self.photos.append((_counts_from_above(level), matched, int(truth.sum())))

    def result(self) -> Dict[str, float]:
        if not self.photos:
            return {"odsf": 0.0, "oisf": 0.0, "edge_ap": 0.0}
        predicted, matched = (np.array([p[i] for p in self.photos], np.float64) for i in (0, 1))
        truth = np.array([p[2] for p in self.photos], np.float64)
        precision = matched.sum(0) / np.maximum(predicted.sum(0), 1)
        recall = matched.sum(0) / max(truth.sum(), 1)
        each = _f(matched / np.maximum(predicted, 1), matched / np.maximum(truth, 1)[:, None]).argmax(1)
        rows = np.arange(len(each))
        hits = matched[rows, each].sum()
        ois = _f(hits / max(predicted[rows, each].sum(), 1), hits / max(truth.sum(), 1))
        return {
            "odsf": 100 * float(_f(precision, recall).max()),
            "oisf": 100 * float(ois),
            "edge_ap": 100 * self._average_precision(precision, recall),
        }

    @staticmethod
    def _average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
        recall, first = np.unique(recall, return_index=True)
        if len(recall) < 2:
            return 0.0
        grid = np.arange(101) / 100
        return float(np.interp(grid, recall, precision[first], left=0.0, right=0.0).sum() / 100)


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilation of (H, W) by a disc."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    result = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx <= radius * radius:
                result |= padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
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
                    np.maximum(best, padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width], out=best)
        for column, values in enumerate((level, level[near_truth], best[truth])):
            self.counts[:, column] += _counts_from_above(values)

    def result(self) -> Dict[str, float]:
        predicted, correct, found = self.counts.T.astype(np.float64)
        return {"edge_f": float(_f(correct / np.maximum(predicted, 1), found / max(self.truth, 1)).max())}
