# SPDX-License-Identifier: Apache-2.0
"""From a configuration (plain dict, as in scripts/configs/*.yaml) to a network.

Network section:
    name:       single_task | multi_task | mti_net | bi_mtdp | bi_mtdp_f | bi_mtdp_c
    backbone:   hrnet_w18 | hrnet_w32 | hrnet_w48 | resnet18 | resnet50 | resnet101 |
                efficientnet_lite0 | efficientnet_lite1 | efficientnet_lite2 (float only)
    dataset:    nyud2 | nyud2_aux | nyud4 | pascal5 | pascal_small    (tasks and their output channels)
    segmentation_classes: overrides the dataset's number of classes
    dropout:    in front of the heads' last layer (DeepLab: behind ASPP), default 0 (DeepLab: 0.5)
  baselines (single_task, multi_task):
    task:       single_task: which of the dataset's tasks
    binary:     backbone and head are binary (default no)
    head:       hrnet | deeplab (default: deeplab for ResNets)
  backbone:
    dilated:    ResNet: output stride 8 (default: baselines yes; MTI-Net's decoder needs no)
    widths:     ResNet, EfficientNet: four widths to which 1x1 convolutions project the maps. Defaults:
                [18, 36, 72, 144] for EfficientNet; for MTI-Net's decoder on ResNet-50 and 101 [64, 128, 256, 512]
    conv2_binary: HRNet: whether the stem's second convolution is binary (default yes)
    stem_width: HRNet: channels of the stem's two convolutions (default 64)
  binary parts:
    preset:     bimtdp | bireal | reactnet | irnet                   (style of binary units)
    style:      single choices that differ from the preset, see BinaryStyle (estimators, binarizer, activation, scale)
    binarize_1x1: 1x1 shortcuts, fusions and masks are binary, too (default no)
    c_scope:    mmd | mmd+fpm | decoder                              (bi_mtdp_c: what is binary, default mmd)
    attention:  options of BinaryAttention
    distillation_modules: how many a scale applies one after another (default 1)
    head_binary: whether the heads' hidden layer is binary (default: bi_mtdp and bi_mtdp_f yes, bi_mtdp_c no)
    mask_binary: bi_mtdp: whether the 1x1 convolutions of the propagation's mask branch are binary (default no)
    vib:        {mu: float | binary_input | binary}, information bottleneck behind the backbone (bi_mtdp_f: always;
                others: only where it is given, {} for the default, mu: float)

An option that has no effect on the chosen network is refused (network_options.py).
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from torch import nn

from . import efficientnet_lite, hrnet, resnet
from .attention import BinaryAttention
from .baselines import MultiTaskBaseline, SingleTask
from .bottleneck import Bottlenecks
from .mti_net import MTINet
from .network_options import check_options
from .style import BinaryStyle, make_style

# dataset -> (tasks, auxiliary tasks); the order fixes the channel order inside the feature propagation.
DATASETS: Dict[str, Tuple[Dict[str, int], Dict[str, int]]] = {
    "nyud2": ({"semseg": 40, "depth": 1}, {"semseg": 40, "depth": 1}),
    "nyud2_aux": ({"semseg": 40, "depth": 1}, {"semseg": 40, "normals": 3, "edge": 1, "depth": 1}),
    "nyud4": ({"semseg": 40, "normals": 3, "edge": 1, "depth": 1},) * 2,
    "pascal5": ({"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3, "edge": 1},) * 2,
    "pascal_small": ({"semseg": 21, "human_parts": 7, "sal": 1},) * 2,
}
BACKBONES = (*hrnet.SIZES, *resnet.SIZES, *efficientnet_lite.SIZES)


def default_widths(backbone: str, baseline: bool) -> Optional[Tuple[int, int, int, int]]:
    """Widths to which 1x1 convolutions project a backbone's maps; None: they stay as they are."""
    if backbone in efficientnet_lite.SIZES:
        return (18, 36, 72, 144)
    if not baseline and backbone in resnet.SIZES and resnet.SIZES[backbone][1]:
        return (64, 128, 256, 512)  # the own maps of bottleneck ResNets have up to 2048 channels
    return None


def _backbone(config: Mapping[str, Any], style: Optional[BinaryStyle], baseline: bool = False) -> nn.Module:
    name, widths = config["backbone"], config.get("widths")
    if widths is not None and len(widths) != 4:
        raise ValueError(f"network.widths: expected four widths, got {list(widths)}")
    if name in hrnet.SIZES:
        return hrnet.HRNet(name, style, config.get("conv2_binary", True), config.get("stem_width", 64))
    if name in resnet.SIZES:
        dilated = bool(config.get("dilated", baseline))
        if dilated and not baseline:
            raise ValueError(f"network.dilated: MTI-Net's decoder needs strides 4 to 32, so {name} cannot be dilated")
        return resnet.ResNet(name, style, dilated, widths or default_widths(name, baseline))
    if name in efficientnet_lite.SIZES:
        if style is not None:
            raise ValueError(f"{name} has no binary form; use it with single_task or multi_task in float, mti_net or "
                             "bi_mtdp_c")
        return efficientnet_lite.EfficientNetLite(name, widths or default_widths(name, baseline))
    raise ValueError(f"unknown backbone {name!r} (there are {', '.join(BACKBONES)})")


def _tasks(config: Mapping[str, Any]) -> Tuple[Dict[str, int], Dict[str, int]]:
    if config.get("dataset") not in DATASETS:
        raise ValueError(f"network.dataset must be one of {sorted(DATASETS)}, got {config.get('dataset')!r}")
    tasks, auxiliary = (dict(t) for t in DATASETS[config["dataset"]])
    if "segmentation_classes" in config:
        tasks["semseg"] = auxiliary["semseg"] = int(config["segmentation_classes"])
    return tasks, auxiliary


def style_of(config: Mapping[str, Any]) -> BinaryStyle:
    """The style of the binary parts of a network section."""
    changes = dict(config.get("style") or {})
    if "binarize_1x1" in config:
        changes["binarize_1x1"] = bool(config["binarize_1x1"])
    return make_style(config.get("preset", "bimtdp"), changes)


def attention_options(config: Mapping[str, Any]) -> Dict[str, Any]:
    """All options of the binarized attention of a network section, defaults included."""
    parameters = inspect.signature(BinaryAttention.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "binary_sources"}
    given = config.get("attention") or {}
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ValueError(f"network.attention: unknown option {unknown[0]!r} (there are {', '.join(defaults)})")
    return {**defaults, **style_of(config).attention_options(), **given}


def _bottleneck(config: Mapping[str, Any], backbone: nn.Module, always: bool = False) -> Optional[Bottlenecks]:
    if not always and "vib" not in config:
        return None
    options = dict(config.get("vib", {}))
    kind = options.pop("mu", "float")
    if options:
        raise ValueError(f"network.vib: unknown option {sorted(options)[0]!r} (there is mu)")
    return Bottlenecks(backbone.channels, kind, style_of(config))


def build_baseline(config: Mapping[str, Any], single: bool) -> MultiTaskBaseline:
    """Single-task network or multi-task baseline, float or binary."""
    style = style_of(config) if config.get("binary", False) else None
    tasks, _ = _tasks(config)
    if single:
        if config.get("task") not in tasks:
            raise ValueError(f"network.task must be one of {list(tasks)} for {config['dataset']}, "
                             f"got {config.get('task')!r}")
        tasks = {config["task"]: tasks[config["task"]]}
    backbone = _backbone(config, style, baseline=True)
    head = config.get("head", "deeplab" if config["backbone"] in resnet.SIZES else "hrnet")
    dropout = config.get("dropout", 0.5 if head == "deeplab" else 0.0)
    return (SingleTask if single else MultiTaskBaseline)(backbone, tasks, head, style, dropout,
                                                         _bottleneck(config, backbone))


def build_mti_net(config: Mapping[str, Any]) -> MTINet:
    """Full-precision MTI-Net."""
    backbone = _backbone(config, None)
    return MTINet(backbone, *_tasks(config), dropout=config.get("dropout", 0.0),
                  distillation_modules=config.get("distillation_modules", 1), bottleneck=_bottleneck(config, backbone))


def build_bi_mtdp(config: Mapping[str, Any], bottleneck: bool = False) -> MTINet:
    """Bi-MTDP: everything binary but the first and last layers, 1x1 shortcuts and fusions, masks and gates of the
    feature propagation. Bi-MTDP-F has the information bottleneck, too."""
    style = style_of(config)
    backbone = _backbone(config, style)
    return MTINet(backbone, *_tasks(config), refinement=style, propagation=style, attention=attention_options(config),
                  head=style if config.get("head_binary", True) else None, binary_mask=config.get("mask_binary", False),
                  dropout=config.get("dropout", 0.0), distillation_modules=config.get("distillation_modules", 1),
                  bottleneck=_bottleneck(config, backbone, always=bottleneck))


def build_bi_mtdp_c(config: Mapping[str, Any]) -> MTINet:
    """Bi-MTDP-C: float backbone, binary distillation and, by ``c_scope``, feature propagation and refinement."""
    style, scope = style_of(config), config.get("c_scope", "mmd")
    if scope not in ("mmd", "mmd+fpm", "decoder"):
        raise ValueError(f"c_scope must be mmd, mmd+fpm or decoder, got {scope!r}")
    attention = attention_options(config)
    if scope != "decoder" and attention["input_binarizer"] == "sign":
        raise ValueError("network.attention.input_binarizer: the sign of float features, which come from a ReLU, is "
                         "always +1; take bn_sign or rsign")
    backbone = _backbone(config, None)
    return MTINet(backbone, *_tasks(config), refinement=style if scope == "decoder" else None,
                  propagation=style if scope != "mmd" else None, attention=attention,
                  head=style if config.get("head_binary", False) else None, dropout=config.get("dropout", 0.0),
                  binary_mask=config.get("mask_binary", False), bottleneck=_bottleneck(config, backbone),
                  distillation_modules=config.get("distillation_modules", 1))


NETWORKS: Dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "single_task": lambda config: build_baseline(config, single=True),
    "multi_task": lambda config: build_baseline(config, single=False),
    "mti_net": build_mti_net,
    "bi_mtdp": build_bi_mtdp,
    "bi_mtdp_f": lambda config: build_bi_mtdp(config, bottleneck=True),
    "bi_mtdp_c": build_bi_mtdp_c,
}


def build_network(config: Mapping[str, Any]) -> nn.Module:
    """Network of a ``network`` section (see the top of this file), in training mode, with fresh weights. ValueError: the
    section names no network that can be built."""
    check_options(config)
    return NETWORKS[config["name"]](config)
