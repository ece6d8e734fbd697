# SPDX-License-Identifier: Apache-2.0
"""From a ``network`` section (options.py) to a network."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

from torch import nn

from . import efficientnet_lite, hrnet, resnet
from .baselines import MultiTaskBaseline, SingleTask
from .bottleneck import Bottlenecks
from .mti_net import MTINet
from .options import DATASETS, has_binary_backbone, is_baseline, resolve_network
from .style import BinaryStyle

Options = Mapping[str, Any]  # a section with all defaults


def _backbone(options: Options, style: Optional[BinaryStyle]) -> nn.Module:
    name = options["backbone"]
    if name in hrnet.SIZES:
        return hrnet.HRNet(name, style, options.get("conv2_binary", False), options["stem_width"])
    if name in resnet.SIZES:
        return resnet.ResNet(name, style, options["dilated"], options.get("widths"))
    return efficientnet_lite.EfficientNetLite(name, options["widths"])


def _tasks(options: Options) -> Tuple[Dict[str, int], Dict[str, int]]:
    """Final and auxiliary tasks with their output channels."""
    tasks, auxiliary = ({**tasks, "semseg": options["segmentation_classes"]} for tasks in DATASETS[options["dataset"]])
    return tasks, auxiliary


def _baseline(
    options: Options, backbone: nn.Module, bottleneck: Optional[Bottlenecks], style: Optional[BinaryStyle]
) -> MultiTaskBaseline:
    """Single-task network or multi-task baseline, float or binary."""
    tasks, _ = _tasks(options)
    if options["name"] == "single_task":
        return SingleTask(
            backbone, {options["task"]: tasks[options["task"]]}, options["head"], style, options["dropout"], bottleneck
        )
    return MultiTaskBaseline(backbone, tasks, options["head"], style, options["dropout"], bottleneck)


def _mti_net(options: Options, backbone: nn.Module, bottleneck: Optional[Bottlenecks], style: Optional[BinaryStyle]) -> MTINet:
    """MTI-Net in float, or with a binary distillation and, by ``c_scope``, feature propagation and refinement. With a
    binary backbone (Bi-MTDP) all is binary but the first and last layers, 1x1 shortcuts and fusions, masks and gates of the
    feature propagation."""
    scope = options.get("c_scope", "decoder")
    return MTINet(
        backbone,
        *_tasks(options),
        refinement=style if scope == "decoder" else None,
        propagation=style if scope != "mmd" else None,
        attention=options.get("attention"),
        head=style if options.get("head_binary") else None,
        binary_mask=options.get("mask_binary", False),
        dropout=options["dropout"],
        distillation_modules=options["distillation_modules"],
        bottleneck=bottleneck,
    )


def build_network(section: Mapping[str, Any]) -> nn.Module:
    """Network of a ``network`` section, in training mode, with fresh weights. ValueError: the section names no network that
    can be built."""
    options = resolve_network(section)
    style = BinaryStyle(**options["style"]) if "style" in options else None
    backbone = _backbone(options, style if has_binary_backbone(options) else None)
    bottleneck = Bottlenecks(backbone.channels, options["vib"]["mu"], style) if "vib" in options else None
    return (_baseline if is_baseline(options) else _mti_net)(options, backbone, bottleneck, style)
