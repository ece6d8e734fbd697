# SPDX-License-Identifier: Apache-2.0
"""Saliency in the two conventions of the literature; figures of one do not compare with figures of the other."""

from __future__ import annotations

import math
from typing import Dict

import numpy as np

from ..data.samples import valid_pixels

MTI_NET_THRESHOLDS = np.linspace(0.2, 0.9, 15)
POOLED_THRESHOLDS = np.arange(1, 20) * 0.05
POOLED_BETA_SQUARED = 0.3


def _f(precision: np.ndarray, recall: np.ndarray, beta_squared: float) -> np.ndarray:
    return (1 + beta_squared) * precision * recall / np.maximum(beta_squared * precision + recall, 1e-12)


class SaliencyMeter:
    """Salient or not, in percent:

    ``sal_miou``, ``sal_maxf_mti_net``: MTI-Net. IoU, precision and recall of each photo at 15 thresholds in 0.2..0.9,
    averaged over photos for each threshold; the best mean IoU, and the best F (beta 1) of mean precision and recall.
    ``sal_maxf``: ATRC, InvPT. Pixels pooled over the set at 0.05, 0.10 .. 0.95; the best F with beta^2 = 0.3.
    """

    def __init__(self):
        self.photos = 0
        self.sums = np.zeros((3, len(MTI_NET_THRESHOLDS)))  # IoU, precision, recall
        self.counts = np.zeros((2, len(POOLED_THRESHOLDS)), np.int64)  # salient by prediction, and by both
        self.salient = 0

    def update(self, probability: np.ndarray, truth: np.ndarray) -> None:
        """(H, W) probabilities; (H, W) 0, 1 or unknown. A photo of which nothing is known does not count."""
        valid = valid_pixels("sal", truth)
        if not valid.any():
            return
        p, g = probability[valid], truth[valid].astype(bool)
        predicted, both = self._count(p, g, MTI_NET_THRESHOLDS)
        union = predicted + g.sum() - both
        # Nothing salient and nothing predicted is right.
        self.sums += np.stack(
            (np.where(union == 0, 1.0, both / np.maximum(union, 1)), both / np.maximum(predicted, 1), both / max(int(g.sum()), 1))
        )
        self.photos += 1
        self.counts += np.stack(self._count(p, g, POOLED_THRESHOLDS))
        self.salient += int(g.sum())

    @staticmethod
    def _count(p: np.ndarray, g: np.ndarray, thresholds: np.ndarray):
        levels = np.searchsorted(thresholds, p)  # thresholds that are below p: salient means p > threshold
        histograms = (np.bincount(part, minlength=len(thresholds) + 1) for part in (levels, levels[g]))
        return tuple(h[::-1].cumsum()[::-1][1:] for h in histograms)

    def result(self) -> Dict[str, float]:
        if not self.photos:
            return dict.fromkeys(("sal_miou", "sal_maxf_mti_net", "sal_maxf"), math.nan)
        iou, precision, recall = self.sums / self.photos
        predicted, both = self.counts
        pooled = _f(both / np.maximum(predicted, 1), both / max(self.salient, 1), POOLED_BETA_SQUARED)
        return {
            "sal_miou": 100 * iou.max(),
            "sal_maxf_mti_net": 100 * _f(precision, recall, 1.0).max(),
            "sal_maxf": 100 * pooled.max(),
        }
