# SPDX-License-Identifier: Apache-2.0
"""Validation while training, and one number for a set of metrics, to say which network of a run is the best."""

from __future__ import annotations

import math
from typing import Mapping, Optional, Tuple

from torch import nn

from ..data.datasets import AnyFrames
from ..metrics import TASK_FIGURES
from ..metrics.evaluation import format_metrics, metrics_of, score, torch_predictor
from .logs import RunLog

_FIGURES = {figure.key: figure.lower_is_better for figure in TASK_FIGURES.values()}


def validation_score(metrics: Mapping[str, float], best: str = "auto") -> float:
    """More is better. ``best`` names one metric; ``auto`` is the mean over the tasks' figures of their logarithms,
    signed so that better is more: differences between two networks are mean relative gains, as in Delta_MTL, but
    no reference network is needed."""
    if best != "auto":
        if best not in metrics:
            raise ValueError(f"train.best: no metric {best!r}; there are: {', '.join(metrics)}")
        return -metrics[best] if _FIGURES.get(best, False) else metrics[best]
    terms = []
    for key, lower_is_better in _FIGURES.items():
        if key in metrics and math.isfinite(metrics[key]):
            value = math.log(max(metrics[key], 1e-6))
            terms.append(-value if lower_is_better else value)
    if not terms:
        raise ValueError(f"validation: none of {', '.join(_FIGURES)} among the metrics {', '.join(metrics)}")
    return sum(terms) / len(terms)


class Validator:
    """Scores a run's network on the validation frames and knows the best score so far."""

    def __init__(self, network: nn.Module, frames: Optional[AnyFrames], size: Tuple[int, int], bf16: bool, best: str, log: RunLog):
        self.network, self.frames, self.size, self.bf16 = network, frames, size, bf16
        self.rule, self.log, self.best = best, log, -math.inf
        figures = metrics_of(frames).figures(network.tasks) if frames is not None and best != "auto" else [best]
        if best not in figures:
            raise ValueError(f"train.best: the network's tasks have no metric {best!r}; there are: auto, {', '.join(figures)}")

    def __call__(self, step: int, note: str, counts: bool = True) -> bool:
        """Validates the network as it stands (and leaves it in evaluation mode); whether it is the best so far of those
        that count.

        ``note`` says which weights these are: current, average or final.
        """
        self.network.eval()
        metrics = score(self.frames, torch_predictor(self.network, bf16=self.bf16), self.size)
        self.log.say(f"step {step}: validation ({note}) {format_metrics(metrics)}")
        value = float(validation_score(metrics, self.rule))
        self.log.validation_row(step, {**metrics, "score": value}, note)
        better = counts and value > self.best
        if better:
            self.best = value
        return better
