# SPDX-License-Identifier: Apache-2.0
"""Dataset-wide metrics of all tasks: classes, human parts, saliency, depth, normals, edges.

``Metrics`` takes the networks' maps; the meters take what each of them documents.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List, Mapping

import numpy as np

from ..data.samples import valid_pixels
from .comparison import TASK_FIGURES, Figure, delta_mtl
from .dense import DepthMeter, HumanPartsMeter, NormalsMeter, SegmentationMeter
from .edges import EDGE_THRESHOLDS, MAX_DISTANCE, BoundaryMeter, EdgeMeter
from .saliency import SaliencyMeter

__all__ = [
    "TASK_FIGURES",
    "Figure",
    "delta_mtl",
    "DepthMeter",
    "HumanPartsMeter",
    "NormalsMeter",
    "SegmentationMeter",
    "EDGE_THRESHOLDS",
    "MAX_DISTANCE",
    "BoundaryMeter",
    "EdgeMeter",
    "SaliencyMeter",
    "Metrics",
    "sigmoid",
]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """In float64; does not overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))


class Metrics:
    """The tasks together. Maps are float arrays (H, W, C) at label size, as the networks give them.

    ``classes`` counts those that are scored: further outputs, which no label names, are left out of the argmax. Pixels
    count as in the losses: see ``samples.valid_pixels``.
    """

    def __init__(self, classes: int = 39, max_distance: float = MAX_DISTANCE["nyud"]):
        self.classes, self.max_distance = classes, max_distance
        self.meters: Dict[str, Any] = {}  # made when a task is seen first

    def _make(self, name: str) -> Any:
        return {
            "semseg": lambda: SegmentationMeter(self.classes),
            "human_parts": HumanPartsMeter,
            "sal": SaliencyMeter,
            "depth": DepthMeter,
            "normals": NormalsMeter,
            "edge": EdgeMeter,
            "boundary": lambda: BoundaryMeter(self.max_distance),
        }[name]()

    def _meter(self, name: str) -> Any:
        if name not in self.meters:
            self.meters[name] = self._make(name)
        return self.meters[name]

    def update(self, maps: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> None:
        """``truth``: semseg, human_parts, sal, edge (H, W) of numbers, depth (H, W) metres, normals (H, W, 3)."""
        for task, values in maps.items():
            if task not in truth:
                raise ValueError(f"the network predicts {task}, but the data has no labels for it")
            if not np.isfinite(values).all():
                raise ValueError(f"the network's map of {task} holds NaN or infinity")
            if task == "semseg":
                self._meter(task).update(values[..., : self.classes].argmax(-1), truth[task])
            elif task == "human_parts":
                self._meter(task).update(values.argmax(-1), truth[task])
            elif task == "depth":
                self._meter(task).update(values[..., 0], truth[task])
            elif task == "normals":
                self._meter(task).update(values, truth[task])
            elif task == "edge":
                known = valid_pixels(task, truth[task])  # elsewhere is no edge, and none is predicted
                for meter in (self._meter(task), self._meter("boundary")):
                    meter.update(sigmoid(values[..., 0]) * known, (truth[task] == 1) & known)
            else:
                self._meter(task).update(sigmoid(values[..., 0]), truth[task])

    def figures(self, tasks: Iterable[str]) -> List[str]:
        """Names of all figures of these tasks."""
        meters = [name for task in tasks for name in ((task, "boundary") if task == "edge" else (task,))]
        return [figure for meter in meters for figure in self._make(meter).result()]

    def result(self) -> Dict[str, float]:
        """The figures, without those of tasks of which no pixel was known."""
        found = {k: float(v) for meter in self.meters.values() for k, v in meter.result().items()}
        return {name: value for name, value in found.items() if not math.isnan(value)}
