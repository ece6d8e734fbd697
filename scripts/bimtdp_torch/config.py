# SPDX-License-Identifier: Apache-2.0
"""From a configuration (plain dict, as in scripts/configs/*.yaml) to a network, and checkpoints that carry both.

Network section:
    name:       mti_net | bi_mtdp | bi_mtdp_c
    backbone:   hrnet_w18 | hrnet_w32 | hrnet_w48 | efficientnet_lite0
    dataset:    nyud2 | nyud2_aux | nyud4 | pascal5 | pascal_small    (tasks and their output channels)
    preset:     bimtdp | bireal | reactnet | irnet                   (style of binary units)
    c_scope:    mmd | mmd+fpm | decoder                              (bi_mtdp_c: what is binary)
    attention:  options of BinaryAttention
    head_binary: whether the heads' hidden layer is binary (default: bi_mtdp yes, others no)
    mask_binary: bi_mtdp: whether the 1x1 convolutions of the propagation's mask branch are binary (default no)
    segmentation_classes: overrides the dataset's number of classes
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Tuple

import torch
from torch import nn

from .blocks import PRESETS, BinaryStyle
from .efficientnet_lite import EfficientNetLite0
from .hrnet import SIZES, HRNet
from .mti_net import MTINet

# dataset -> (tasks, auxiliary tasks); the order fixes the channel order inside the feature propagation.
DATASETS: Dict[str, Tuple[Dict[str, int], Dict[str, int]]] = {
    "nyud2": ({"semseg": 40, "depth": 1}, {"semseg": 40, "depth": 1}),
    "nyud2_aux": ({"semseg": 40, "depth": 1}, {"semseg": 40, "normals": 3, "edge": 1, "depth": 1}),
    "nyud4": ({"semseg": 40, "normals": 3, "edge": 1, "depth": 1},) * 2,
    "pascal5": ({"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3, "edge": 1},) * 2,
    "pascal_small": ({"semseg": 21, "human_parts": 7, "sal": 1},) * 2,
}


def _backbone(name: str, style: BinaryStyle | None = None) -> nn.Module:
    if name in SIZES:
        return HRNet(name, style)
    if name == "efficientnet_lite0":
        if style is not None:
            raise ValueError("efficientnet_lite0 has no binary form; use it with mti_net or bi_mtdp_c")
        return EfficientNetLite0()
    raise ValueError(f"unknown backbone {name!r}")


def _tasks(config: Mapping[str, Any]) -> Tuple[Dict[str, int], Dict[str, int]]:
    tasks, auxiliary = (dict(t) for t in DATASETS[config["dataset"]])
    if "segmentation_classes" in config:
        tasks["semseg"] = auxiliary["semseg"] = int(config["segmentation_classes"])
    return tasks, auxiliary


def _style(config: Mapping[str, Any]) -> BinaryStyle:
    return PRESETS[config.get("preset", "bimtdp")]


def build_mti_net(config: Mapping[str, Any]) -> MTINet:
    """Full-precision MTI-Net."""
    return MTINet(_backbone(config["backbone"]), *_tasks(config), dropout=config.get("dropout", 0.0))


def build_bi_mtdp(config: Mapping[str, Any]) -> MTINet:
    """Bi-MTDP: everything binary but the first and last layers, 1x1 shortcuts and fusions, masks and gates of the
    feature propagation."""
    style = _style(config)
    return MTINet(_backbone(config["backbone"], style), *_tasks(config), refinement=style, propagation=style,
                  attention=dict(config.get("attention", {})), head=style if config.get("head_binary", True) else None,
                  binary_mask=config.get("mask_binary", False), dropout=config.get("dropout", 0.0))


def build_bi_mtdp_c(config: Mapping[str, Any]) -> MTINet:
    """Bi-MTDP-C: float backbone, binary distillation and, by ``c_scope``, feature propagation and refinement."""
    style, scope = _style(config), config.get("c_scope", "mmd")
    if scope not in ("mmd", "mmd+fpm", "decoder"):
        raise ValueError(f"c_scope must be mmd, mmd+fpm or decoder, got {scope!r}")
    return MTINet(_backbone(config["backbone"]), *_tasks(config), refinement=style if scope == "decoder" else None,
                  propagation=style if scope != "mmd" else None, attention=dict(config.get("attention", {})),
                  head=style if config.get("head_binary", False) else None, dropout=config.get("dropout", 0.0))


NETWORKS: Dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "mti_net": build_mti_net,
    "bi_mtdp": build_bi_mtdp,
    "bi_mtdp_c": build_bi_mtdp_c,
}


def build_network(config: Mapping[str, Any]) -> nn.Module:
    """Network of a ``network`` section (see the top of this file), in training mode, with fresh weights."""
    if config.get("name") not in NETWORKS:
        raise ValueError(f"network name must be one of {sorted(NETWORKS)}, got {config.get('name')!r}")
    return NETWORKS[config["name"]](config)


def load_checkpoint(path: str) -> Tuple[Dict[str, Any], nn.Module]:
    """(configuration, network in evaluation mode) of a checkpoint that train.py wrote."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network = build_network(checkpoint["config"]["network"])
    network.load_state_dict(checkpoint["model"])
    return checkpoint["config"], network.eval()
