# SPDX-License-Identifier: Apache-2.0
"""One number for a set of metrics, to say which network of a run is the best."""

from __future__ import annotations

import math
from typing import Mapping

from ..metrics import TASK_FIGURES

_FIGURES = {figure.key: figure.lower_is_better for figure in TASK_FIGURES.values()}
_STAND_INS = {"odsf": "edge_f"}  # the fast measure that is there while training


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
        key = key if key in metrics else _STAND_INS.get(key, key)
        if key in metrics and math.isfinite(metrics[key]):
            value = math.log(max(metrics[key], 1e-6))
            terms.append(-value if lower_is_better else value)
    if not terms:
        raise ValueError(f"validation: none of {', '.join(_FIGURES)} among the metrics {', '.join(metrics)}")
    return sum(terms) / len(terms)
