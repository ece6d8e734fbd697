# SPDX-License-Identifier: Apache-2.0
"""MTI-Net's decoder on any four-scale backbone: initial task predictions, feature propagation, distillation, heads.

One class serves the float network and the binary ones; a ``BinaryStyle`` per part says what is binary. Key names
are those of the public MTI-Net checkpoints wherever the part exists there.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import torch
from torch import Tensor, nn

from .attention import BinaryAttention, MultiModalDistillation
from .blocks import basic_block
from .bottleneck import Bottlenecks
from .heads import HighResolutionHead
from .layers import GroupedSoftmax, Resize, SqueezeExcite
from .predictor import DensePredictor, Maps
from .style import BinaryStyle


class InitialTaskPrediction(nn.Module):
    """Per-task refinement of one scale's backbone map, joined with the coarser scale's propagated features."""

    def __init__(self, tasks: Dict[str, int], cin: int, channels: int, style: Optional[BinaryStyle]):
        super().__init__()
        self.resize = Resize("bilinear", 2)
        # The backbone's map may end in a ReLU: a batch normalisation has to centre it before the first sign.
        self.refinement = nn.ModuleDict(
            {
                task: nn.Sequential(basic_block(cin, channels, style, "bn_sign"), basic_block(channels, channels, style))
                for task in tasks
            }
        )
        self.decoders = nn.ModuleDict({task: nn.Conv2d(channels, outputs, 1) for task, outputs in tasks.items()})

    def forward(self, x: Tensor, coarser: Optional[Maps] = None) -> Maps:
        """Features per task, (B, C_s, H_s, W_s)."""
        if coarser is None:
            return {task: refine(x) for task, refine in self.refinement.items()}
        return {task: refine(torch.cat((x, self.resize(coarser[task])), 1)) for task, refine in self.refinement.items()}

    def predict(self, features: Maps) -> Maps:
        """Predictions for deep supervision; nothing downstream reads them."""
        return {task: self.decoders[task](feature) for task, feature in features.items()}


class FeaturePropagation(nn.Module):
    """Mixes the tasks' features of one scale through a softmax mask and adds the shared result to each task.

    ``binary_mask`` makes the 1x1 convolutions of the mask branch binary too (they are the largest float layers of
    an all-binary network, and their result only weighs features).
    """

    def __init__(self, tasks: Sequence[str], channels: int, style: Optional[BinaryStyle], binary_mask: bool = False):
        super().__init__()
        self.tasks = tuple(tasks)
        total = len(self.tasks) * channels
        squeezed = total // 4
        binary_mask = style is not None and (binary_mask or style.binarize_1x1)
        if binary_mask:
            mask = nn.Sequential(style.binarize(squeezed), style.conv(squeezed, total, 1), nn.BatchNorm2d(total))
        else:
            mask = nn.Conv2d(squeezed, total, 1)
        self.non_linear = nn.Sequential(
            basic_block(total, squeezed, style, "bn_sign", binary_shortcut=binary_mask),
            basic_block(squeezed, squeezed, style),
            mask,
        )
        self.softmax = GroupedSoftmax(len(self.tasks))
        self.dimensionality_reduction = basic_block(total, channels, style, "bn_sign")
        self.se = nn.ModuleDict({task: SqueezeExcite(channels) for task in self.tasks})

    def forward(self, features: Maps) -> Maps:
        joined = torch.cat([features[task] for task in self.tasks], 1)
        mask = self.softmax(self.non_linear(joined))
        shared = self.dimensionality_reduction(mask * joined)
        return {task: self.se[task](shared) + features[task] for task in self.tasks}


class MTINet(DensePredictor):
    """Multi-task dense predictor. ``forward``: (B, 3, H, W) -> task -> (B, outputs, H, W).

    tasks, auxiliary:   name -> output channels, in MTI-Net's order; auxiliary contains the tasks.
    refinement, propagation, head: the style of each part, None for float.
    attention: options of BinaryAttention, or None for MTI-Net's float distillation.
    distillation_modules: how many of them a scale applies one after another.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tasks: Dict[str, int],
        auxiliary: Dict[str, int],
        *,
        refinement: Optional[BinaryStyle],
        propagation: Optional[BinaryStyle],
        attention: Optional[dict],
        head: Optional[BinaryStyle],
        binary_mask: bool,
        dropout: float,
        distillation_modules: int,
        bottleneck: Optional[Bottlenecks],
    ):
        super().__init__(backbone, tasks, auxiliary, bottleneck)
        self.distillation_modules = distillation_modules
        channels = tuple(backbone.channels)
        for scale, width in enumerate(channels):
            cin = width + (channels[scale + 1] if scale < 3 else 0)
            self.add_module(f"scale_{scale}", InitialTaskPrediction(self.auxiliary, cin, width, refinement))
            if scale > 0:
                self.add_module(f"fpm_scale_{scale}", FeaturePropagation(list(auxiliary), width, propagation, binary_mask))
            for number in range(1, distillation_modules + 1):
                self.add_module(self._distillation(scale, number), self._make_distillation(width, attention, number))
        self.heads = nn.ModuleDict(
            {task: HighResolutionHead(channels, outputs, head, dropout) for task, outputs in self.tasks.items()}
        )

    @staticmethod
    def _distillation(scale: int, number: int) -> str:
        """Name of the number-th distillation of a scale; the first has MTI-Net's."""
        return f"distillation_scale_{scale}" + ("" if number == 1 else f"_{number}")

    def _make_distillation(self, channels: int, attention: Optional[dict], number: int) -> nn.Module:
        if attention is None:
            return MultiModalDistillation(list(self.tasks), list(self.auxiliary), channels)
        # Behind an outer sign the targets arrive as +-1; auxiliary tasks keep their features.
        binary = list(self.tasks) if number > 1 and attention["outer_sign"] else []
        return BinaryAttention(list(self.tasks), list(self.auxiliary), channels, **attention, binary_sources=binary)

    def heads_by_task(self) -> Dict[str, nn.Module]:
        return dict(self.heads.items())

    def final_activations(self) -> List[nn.Module]:
        refined = [
            refine[-1].final_activation for scale in range(4) for refine in getattr(self, f"scale_{scale}").refinement.values()
        ]
        return super().final_activations() + refined + [head.activation for head in self.heads.values()]

    def decode(self, backbone: List[Tensor]) -> List[Maps]:
        """Backbone maps -> features per scale (finest first) and auxiliary task."""
        features: List[Maps] = [{}, {}, {}, {}]
        coarser = None
        for scale in (3, 2, 1, 0):
            features[scale] = getattr(self, f"scale_{scale}")(backbone[scale], coarser)
            if scale > 0:
                coarser = getattr(self, f"fpm_scale_{scale}")(features[scale])
        return features

    def distill(self, features: Maps, scale: int, sums: Optional[List[Maps]] = None) -> Maps:
        """Features of one scale -> what the heads read; appends the last module's S^k to ``sums`` if that is given."""
        current = dict(features)
        for number in range(1, self.distillation_modules + 1):
            module = getattr(self, self._distillation(scale, number))
            if sums is None:
                result = module(current)
                current.update({task: result[task] for task in self.tasks})
            else:
                totals = module.sums(current)
                current.update({task: module.outer_sign(total) for task, total in totals.items()})
        if sums is not None:
            sums.append(totals)
        return {task: current[task] for task in self.tasks}

    def head_maps(self, features: List[Maps]) -> Maps:
        """Distillation and heads: task -> (B, outputs, H / 4, W / 4)."""
        distilled = [self.distill(features[scale], scale) for scale in range(4)]
        return {task: head([maps[task] for maps in distilled]) for task, head in self.heads.items()}

    def decode_maps(self, backbone: List[Tensor]) -> Maps:
        return self.head_maps(self.decode(backbone))

    def decode_all(self, backbone: List[Tensor]) -> Dict[str, Any]:
        features = self.decode(backbone)
        initial = [getattr(self, f"scale_{scale}").predict(features[scale]) for scale in range(4)]
        sums: List[Maps] = []
        distilled = [self.distill(features[scale], scale, sums) for scale in range(4)]
        both = {task: head.with_hidden([maps[task] for maps in distilled]) for task, head in self.heads.items()}
        return {
            "maps": {task: m for task, (m, _) in both.items()},
            "initial": initial,
            "features": features,
            "distilled": sums,
            "hidden": {task: hidden for task, (_, hidden) in both.items()},
        }
