# SPDX-License-Identifier: Apache-2.0
"""MTI-Net's decoder on any four-scale backbone: initial task predictions, feature propagation, distillation, heads.

One class serves the float network and the binary ones; a ``BinaryStyle`` per part says what is binary. Key names
are those of the public MTI-Net checkpoints wherever the part exists there.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import torch
from torch import Tensor, nn

from .attention import BinaryAttention, MultiModalDistillation
from .blocks import BinaryStyle, basic_block
from .layers import GroupedSoftmax, PReLU, Resize, SqueezeExcite

Maps = Dict[str, Tensor]


class InitialTaskPrediction(nn.Module):
    """Per-task refinement of one scale's backbone map, joined with the coarser scale's propagated features."""

    def __init__(self, tasks: Dict[str, int], cin: int, channels: int, style: Optional[BinaryStyle]):
        super().__init__()
        self.resize = Resize("bilinear", 2)
        # The backbone's map may end in a ReLU: a batch normalisation has to centre it before the first sign.
        self.refinement = nn.ModuleDict({
            task: nn.Sequential(basic_block(cin, channels, style, "bn_sign"), basic_block(channels, channels, style))
            for task in tasks})
        self.decoders = nn.ModuleDict({task: nn.Conv2d(channels, outputs, 1) for task, outputs in tasks.items()})

    def forward(self, x: Tensor, coarser: Optional[Maps] = None) -> Maps:
        """Features per task, (B, C_s, H_s, W_s)."""
        if coarser is None:
            return {task: refine(x) for task, refine in self.refinement.items()}
        return {task: refine(torch.cat((x, self.resize(coarser[task])), 1))
                for task, refine in self.refinement.items()}

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
        if binary_mask:
            mask = nn.Sequential(style.binarize(squeezed), style.conv(squeezed, total, 1), nn.BatchNorm2d(total))
        else:
            mask = nn.Conv2d(squeezed, total, 1)
        self.non_linear = nn.Sequential(
            basic_block(total, squeezed, style, "bn_sign", binary_shortcut=binary_mask),
            basic_block(squeezed, squeezed, style), mask)
        self.softmax = GroupedSoftmax(len(self.tasks))
        self.dimensionality_reduction = basic_block(total, channels, style, "bn_sign")
        self.se = nn.ModuleDict({task: SqueezeExcite(channels) for task in self.tasks})

    def forward(self, features: Maps) -> Maps:
        joined = torch.cat([features[task] for task in self.tasks], 1)
        mask = self.softmax(self.non_linear(joined))
        shared = self.dimensionality_reduction(mask * joined)
        return {task: self.se[task](shared) + features[task] for task in self.tasks}


class HighResolutionHead(nn.Module):
    """All scales to the finest, concatenation, 1x1 + BN + activation, 1x1. ``last_layer`` has MTI-Net's keys."""

    def __init__(self, channels: Sequence[int], outputs: int, style: Optional[BinaryStyle], dropout: float = 0.0):
        super().__init__()
        width = sum(channels)
        self.binary = style is not None
        self.resize = Resize("bilinear")
        first = style.conv(width, width, 1) if self.binary else nn.Conv2d(width, width, 1)
        self.last_layer = nn.ModuleDict({"0": first, "1": nn.BatchNorm2d(width), "3": nn.Conv2d(width, outputs, 1)})
        if self.binary:
            self.binarize = style.binarize(width)
        self.activation = PReLU(width) if self.binary else nn.ReLU()
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, maps: List[Tensor]) -> Tensor:
        x = torch.cat([maps[0]] + [self.resize(m, maps[0]) for m in maps[1:]], 1)
        if self.binary:
            y = self.last_layer["1"](self.last_layer["0"](self.binarize(x))) + x
        else:
            y = self.last_layer["1"](self.last_layer["0"](x))
        return self.last_layer["3"](self.dropout(self.activation(y)))


class MTINet(nn.Module):
    """Multi-task dense predictor. ``forward``: (B, 3, H, W) -> task -> (B, outputs, H, W).

    tasks, auxiliary:   name -> output channels, in MTI-Net's order; auxiliary contains the tasks.
    refinement, propagation, head: the style of each part, None for float.
    attention: options of BinaryAttention, or None for MTI-Net's float distillation.
    """

    def __init__(self, backbone: nn.Module, tasks: Dict[str, int], auxiliary: Dict[str, int], *,
                 refinement: Optional[BinaryStyle] = None, propagation: Optional[BinaryStyle] = None,
                 attention: Optional[dict] = None, head: Optional[BinaryStyle] = None, binary_mask: bool = False,
                 dropout: float = 0.0):
        super().__init__()
        self.tasks, self.auxiliary = dict(tasks), dict(auxiliary)
        self.backbone = backbone
        channels = tuple(backbone.channels)
        for scale, width in enumerate(channels):
            cin = width + (channels[scale + 1] if scale < 3 else 0)
            self.add_module(f"scale_{scale}", InitialTaskPrediction(self.auxiliary, cin, width, refinement))
            if scale > 0:
                self.add_module(f"fpm_scale_{scale}", FeaturePropagation(
                    list(auxiliary), width, propagation, binary_mask))
            distillation = (MultiModalDistillation(list(tasks), list(auxiliary), width) if attention is None
                            else BinaryAttention(list(tasks), list(auxiliary), width, **attention))
            self.add_module(f"distillation_scale_{scale}", distillation)
        self.heads = nn.ModuleDict({task: HighResolutionHead(channels, outputs, head, dropout)
                                    for task, outputs in self.tasks.items()})
        self.resize = Resize("bilinear")

    def decode(self, backbone: List[Tensor]) -> List[Maps]:
        """Backbone maps -> features per scale (finest first) and auxiliary task."""
        features: List[Maps] = [{}, {}, {}, {}]
        coarser = None
        for scale in (3, 2, 1, 0):
            features[scale] = getattr(self, f"scale_{scale}")(backbone[scale], coarser)
            if scale > 0:
                coarser = getattr(self, f"fpm_scale_{scale}")(features[scale])
        return features

    def head_maps(self, features: List[Maps]) -> Maps:
        """Distillation and heads: task -> (B, outputs, H / 4, W / 4)."""
        distilled = [getattr(self, f"distillation_scale_{scale}")(features[scale]) for scale in range(4)]
        return {task: head([maps[task] for maps in distilled]) for task, head in self.heads.items()}

    def forward(self, x: Tensor) -> Maps:
        maps = self.head_maps(self.decode(self.backbone(x)))
        return {task: self.resize(m, x) for task, m in maps.items()}

    def training_outputs(self, x: Tensor) -> dict:
        """What the losses need: ``maps`` at a quarter of the input size, ``initial`` predictions per scale,
        ``backbone`` maps and ``features`` per scale and task."""
        backbone = self.backbone(x)
        features = self.decode(backbone)
        initial = [getattr(self, f"scale_{scale}").predict(features[scale]) for scale in range(4)]
        return {"maps": self.head_maps(features), "initial": initial, "backbone": backbone, "features": features}
