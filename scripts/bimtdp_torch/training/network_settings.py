# SPDX-License-Identifier: Apache-2.0
"""The section ``network`` with the defaults of its kind of network written out (config.py says what each means).

So a run's config.yaml says everything that was chosen, also if a later version chooses otherwise.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Mapping

from .. import hrnet, resnet
from ..config import DATASETS, NETWORKS, attention_options, default_widths, style_of
from ..configuration import dump_config

_BASELINES, _BINARY = ("single_task", "multi_task"), ("bi_mtdp", "bi_mtdp_f", "bi_mtdp_c")


def _backbone_defaults(section: Mapping[str, Any], baseline: bool, binary: bool) -> Dict[str, Any]:
    name = section.get("backbone")
    if name in hrnet.SIZES:
        return {"stem_width": 64, **({"conv2_binary": True} if binary else {})}
    widths = default_widths(str(name), baseline)
    return {**({"dilated": baseline} if name in resnet.SIZES else {}), **({"widths": list(widths)} if widths else {})}


def resolve_network(section: Mapping[str, Any]) -> Dict[str, Any]:
    """``section`` with every default; it builds the same network."""
    kind = section.get("name")
    if kind not in NETWORKS:
        return dict(section)  # build_network says what is wrong
    baseline, parts = kind in _BASELINES, kind in _BINARY
    head = section.get("head", "deeplab" if section.get("backbone") in resnet.SIZES else "hrnet")
    defaults: Dict[str, Any] = {"dropout": 0.5 if baseline and head == "deeplab" else 0.0}
    if section.get("dataset") in DATASETS:
        defaults["segmentation_classes"] = DATASETS[section["dataset"]][0]["semseg"]
    defaults.update({"binary": False, "head": head} if baseline else {"distillation_modules": 1})
    binary = parts or bool(section.get("binary"))
    defaults.update(_backbone_defaults(section, baseline, binary and kind != "bi_mtdp_c"))
    if kind == "bi_mtdp_c":
        defaults["c_scope"] = "mmd"
    if parts:
        defaults.update(head_binary=kind != "bi_mtdp_c", mask_binary=False)
    if kind == "bi_mtdp_f":
        defaults["vib"] = {"mu": "float"}
    result = {**defaults, **section}
    if parts:
        result["attention"] = attention_options(section)
    if binary:
        result.setdefault("preset", "bimtdp")
        result["style"] = asdict(style_of(section))
    order = ["name", "dataset", "task", "backbone"]
    return {key: result[key] for key in [k for k in order if k in result] + [k for k in result if k not in order]}


def describe(config: Mapping[str, Any]) -> str:
    """YAML of a resolved configuration with the network's defaults; train.py trains the same from it."""
    return dump_config({**config, "network": resolve_network(config["network"])})
