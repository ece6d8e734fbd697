# SPDX-License-Identifier: Apache-2.0
"""The baselines: one network a task, and a shared backbone with one head a task; keys of the public MTI-Net code."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from torch import Tensor, nn

from .bottleneck import Bottlenecks
from .heads import HEADS
from .predictor import DensePredictor, Maps
from .style import BinaryStyle


class MultiTaskBaseline(DensePredictor):
    """Shared backbone, one independent head a task (keys ``decoders.<task>.*``)."""

    def __init__(
        self,
        backbone: nn.Module,
        tasks: Dict[str, int],
        head: str,
        style: Optional[BinaryStyle],
        dropout: float,
        bottleneck: Optional[Bottlenecks],
    ):
        super().__init__(backbone, tasks, {}, bottleneck)
        self._add_heads({task: HEADS[head](backbone.channels, outputs, style, dropout) for task, outputs in tasks.items()})

    def _add_heads(self, heads: Dict[str, nn.Module]) -> None:
        self.decoders = nn.ModuleDict(heads)

    def heads_by_task(self) -> Dict[str, nn.Module]:
        return dict(self.decoders.items())

    def final_activations(self) -> List[nn.Module]:
        return super().final_activations() + [head.activation for head in self.heads_by_task().values()]

    def decode_maps(self, backbone: List[Tensor]) -> Maps:
        return {task: head(backbone) for task, head in self.heads_by_task().items()}

    def decode_all(self, backbone: List[Tensor]) -> Dict[str, Any]:
        both = {task: head.with_hidden(backbone) for task, head in self.heads_by_task().items()}
        return {
            "maps": {task: m for task, (m, _) in both.items()},
            "initial": [],
            "hidden": {task: hidden for task, (_, hidden) in both.items()},
        }


class SingleTask(MultiTaskBaseline):
    """Backbone and the head of its only task (keys ``decoder.*``)."""

    def _add_heads(self, heads: Dict[str, nn.Module]) -> None:
        if len(heads) != 1:
            raise ValueError(f"a single-task network has one task, got {sorted(heads)}")
        (self.decoder,) = heads.values()

    def heads_by_task(self) -> Dict[str, nn.Module]:
        (task,) = self.tasks
        return {task: self.decoder}
