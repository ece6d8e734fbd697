# SPDX-License-Identifier: Apache-2.0
"""Which options of a ``network`` section a network has, and their types (config.py says what they mean).

An option without effect is refused: whoever gives it expects another network than the one that would be built.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Set

from . import efficientnet_lite, hrnet, resnet
from .configuration import check_keys

_EVERY = "name backbone dataset segmentation_classes dropout vib"
_STYLE = "preset style binarize_1x1"
_DECODER = f"{_STYLE} attention distillation_modules head_binary mask_binary"
_NETWORKS = {
    "single_task": f"{_EVERY} task binary head", "multi_task": f"{_EVERY} binary head",
    "mti_net": f"{_EVERY} distillation_modules", "bi_mtdp": f"{_EVERY} {_DECODER}",
    "bi_mtdp_f": f"{_EVERY} {_DECODER}", "bi_mtdp_c": f"{_EVERY} {_DECODER} c_scope",
}
_BASELINES = ("single_task", "multi_task")
_TYPES: Dict[str, type] = {
    **dict.fromkeys("name backbone dataset task head preset c_scope".split(), str),
    **dict.fromkeys("binary dilated conv2_binary binarize_1x1 head_binary mask_binary".split(), bool),
    **dict.fromkeys("segmentation_classes stem_width distillation_modules".split(), int), "dropout": float,
    **dict.fromkeys("style attention".split(), dict), "widths": list, "vib": dict,
}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a mapping", list: "a list"}


def _of_backbone(config: Mapping[str, Any], binary: bool) -> str:
    name = config["backbone"]
    if name in hrnet.SIZES:
        return "stem_width conv2_binary" if binary else "stem_width"
    return "dilated widths" if name in resnet.SIZES else "widths" if name in efficientnet_lite.SIZES else ""


def _options(config: Mapping[str, Any]) -> Set[str]:
    """Names of the options that have an effect on this section's network."""
    name = config["name"]
    binary = bool(config.get("binary")) if name in _BASELINES else name in ("bi_mtdp", "bi_mtdp_f")
    style = _STYLE if name in _BASELINES and binary else ""
    return set(f"{_NETWORKS[name]} {style} {_of_backbone(config, binary)}".split())


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else (list, tuple) if kind is list else
                      Mapping if kind is dict else kind)


def check_options(config: Mapping[str, Any]) -> None:
    """ValueError for a section with an option that is unknown, of another type or without effect."""
    check_keys(config, _TYPES, "network")
    for key, value in config.items():
        if not _fits(value, _TYPES[key]):
            raise ValueError(f"network.{key} must be {_WORDS[_TYPES[key]]}, got {value!r}")
        if _TYPES[key] is int and value < 1:
            raise ValueError(f"network.{key} must be at least 1, got {value}")
    for key in ("name", "backbone"):
        if key not in config:
            raise ValueError(f"network.{key} is missing")
    if config["name"] not in _NETWORKS:
        raise ValueError(f"network.name must be one of {', '.join(_NETWORKS)}, got {config['name']!r}")
    options = _options(config)
    for key in config:
        if key not in options:
            raise ValueError(f"network.{key} has no effect on {config['name']} with the backbone {config['backbone']}")
    if config["name"] == "bi_mtdp_c" and config.get("c_scope", "mmd") == "mmd":
        for key in ("mask_binary", "binarize_1x1"):
            if config.get(key):
                raise ValueError(f"network.{key} has no effect on bi_mtdp_c with c_scope mmd")
