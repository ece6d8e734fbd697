# SPDX-License-Identifier: Apache-2.0
"""The sections ``train``, ``distillation`` and ``init`` of a configuration, with every default.

train:
    phases               list of {size: [H, W], batch, steps}; batch is the number of photos of an optimizer step, over
                         all processes and accumulated pieces
    lr, backbone_lr      peak learning rates (backbone_lr null: lr); schedule: cosine | poly (power 0.9) | linear, to 0
    warmup               steps of linear warm-up
    optimizer            adamw | adam (whose weight decay is part of the gradient, as in MTI-Net's recipe)
    weight_decay         on float convolution and linear weights; binary_weight_decay on latent weights of binary ones
    clip_norm            largest gradient norm
    task_weights         task -> weight, in place of MTI-Net's; deep_supervision weighs the initial predictions' loss
    max_zoom, colour     strength of the augmentation (zooms are NYUD's; PASCAL is turned and scaled as in MTI-Net)
    freeze               names of modules that are not trained
    vib_weight           beta of the variational information bottleneck, where the network has one
    two_step             share of the steps with binary activations but real weights (ReActNet's first step); best.pt
                         is chosen after it
    ede                  {t_min, t_max} of IR-Net's schedule, where the network has such signs
    ema                  decay of the averaged weights, e.g. 0.999; they are validated and saved; 0: off
    accumulate           pieces into which each process cuts its part of a batch, one after another; gradients are those
                         of the batch, but statistics of batch normalisation are each piece's own
    amp                  auto | bf16 | off; auto: bf16 where the device is faster in it
    sync_batch_norm      several processes: statistics of the whole batch, so that the number of processes does not
                         matter (within rounding; signs of binary networks turn with it); false is faster
    fused                CPU: the compiled kernels of csrc/fused.cpp
    validation_every     every n-th run of 8 training frames is for validation (0: none); validate_every counts steps
    best                 auto (all tasks) or a metric's name: what best.pt is best in
    save_every, log_every                        steps between states, and between rows of losses.csv
    recalibration_batches, recalibration_zoom    final exact statistics of batch normalisation (0 batches: the running
                         ones stay)
distillation:
    teacher              checkpoint or model file
    weight, temperature  of the output maps; label_weight weighs the supervised losses beside them
    task_weights         of the output maps, where they are not those of ``train``
    maps                 cached (computed once for whole frames, kept in ``cache`` or the output folder) | online (on
                         the augmented batch)
    size                 [H, W] of the photos that the teacher sees: best what it was trained at. null: cached: the last
                         phase's; online and features: the student's
    photos, photos_share folder or tar of photos without labels, squeezed to squares of ``photo_size``, and their share
                         of every batch; they have the teacher's answers alone (maps: online, or features)
    features             null, or {weight, groups, pre_relu, every}: mean squared error of real-valued features, with
                         the teacher run on the same batch; every: only at each n-th step
init:
    imagenet             ImageNet weights for an EfficientNet-Lite backbone
    checkpoint           whatever fits of this checkpoint (ours, or of the public MTI-Net) or model file
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping

from ..configuration import check_keys, dump_config
from ..networks.options import resolve_network
from ..networks.predictor import check_size
from .losses import TASK_WEIGHTS

FEATURE_GROUPS = ("backbone", "features", "distilled", "hidden")
REQUIRED = object()

SECTIONS: Dict[str, Any] = {
    "name": "train",
    "network": REQUIRED,
    "init": None,
    "distillation": None,
    "train": REQUIRED,
    "steps_scale": 1.0,
}
TRAIN: Dict[str, Any] = {
    "seed": 0,
    "lr": REQUIRED,
    "backbone_lr": None,
    "schedule": "cosine",
    "warmup": 200,
    "optimizer": "adamw",
    "weight_decay": 0.0,
    "binary_weight_decay": 0.0,
    "clip_norm": 10.0,
    "task_weights": dict(TASK_WEIGHTS),
    "deep_supervision": 1.0,
    "max_zoom": 1.7,
    "colour": 0.3,
    "freeze": [],
    "vib_weight": 1e-3,
    "two_step": 0.0,
    "ede": {"t_min": 1e-3, "t_max": 10.0},
    "ema": 0.0,
    "accumulate": 1,
    "amp": "auto",
    "sync_batch_norm": True,
    "fused": True,
    "validation_every": 20,
    "validate_every": 500,
    "best": "auto",
    "save_every": 200,
    "log_every": 20,
    "recalibration_batches": 40,
    "recalibration_zoom": 1.3,
    "phases": REQUIRED,
}
PHASE = {"size": REQUIRED, "batch": REQUIRED, "steps": REQUIRED}
DISTILLATION: Dict[str, Any] = {
    "teacher": REQUIRED,
    "weight": 1.0,
    "label_weight": 1.0,
    "temperature": 2.0,
    "maps": "cached",
    "size": None,
    "cache": None,
    "task_weights": {},
    "features": None,
    "photos": None,
    "photos_share": 0.0,
    "photo_size": 128,
}
FEATURES = {"weight": 1.0, "groups": list(FEATURE_GROUPS), "pre_relu": True, "every": 1}
INIT = {"imagenet": False, "checkpoint": None}
_HINTS = {"teacher": " (or give --teacher)"}
# Ranges of numbers, written as intervals.
RANGES = {
    "train.lr": "[0, inf)",
    "train.backbone_lr": "[0, inf)",
    "train.warmup": "[0, inf)",
    "train.weight_decay": "[0, inf)",
    "train.binary_weight_decay": "[0, inf)",
    "train.clip_norm": "(0, inf)",
    "train.deep_supervision": "[0, inf)",
    "train.max_zoom": "[1, inf)",
    "train.colour": "[0, 1]",
    "train.vib_weight": "[0, inf)",
    "train.two_step": "[0, 1)",
    "train.ede.t_min": "(0, inf)",
    "train.ede.t_max": "(0, inf)",
    "train.ema": "[0, 1)",
    "train.accumulate": "[1, inf)",
    "train.validation_every": "[0, inf)",
    "train.validate_every": "[1, inf)",
    "train.save_every": "[1, inf)",
    "train.log_every": "[1, inf)",
    "train.recalibration_batches": "[0, inf)",
    "train.recalibration_zoom": "[1, inf)",
    "distillation.weight": "[0, inf)",
    "distillation.label_weight": "[0, inf)",
    "distillation.temperature": "(0, inf)",
    "distillation.photos_share": "[0, 1)",
    "distillation.photo_size": "[32, inf)",
    "distillation.features.weight": "[0, inf)",
    "distillation.features.every": "[1, inf)",
    "train.steps": "[1, inf)",
    "train.batch": "[1, inf)",
    "train.size": "[32, inf)",  # of pretraining
}
CHOICES = {
    "train.amp": ("auto", "bf16", "off"),
    "train.schedule": ("cosine", "poly", "linear"),
    "train.optimizer": ("adamw", "adam"),
    "distillation.maps": ("cached", "online"),
}


def _number(value: Any, default: Any, where: str) -> Any:
    """A number where the default is one (whole where that is), in its range. YAML 1.1 reads 1e-3 as text."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{where} must be true or false, got {value!r}")
        return value
    if where not in RANGES and not isinstance(default, (int, float)) or value is None and default is None:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value) if isinstance(value, str) else value + 0
    except (TypeError, ValueError):
        raise ValueError(f"{where} must be a number, got {value!r}") from None
    if isinstance(default, int):
        if number != round(number):
            raise ValueError(f"{where} must be a whole number, got {value!r}")
        number = int(number)
    _check_range(number, RANGES.get(where, "(-inf, inf)"), where)
    return number


def _check_range(number: float, interval: str, where: str) -> None:
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = number > low or (interval[0] == "[" and number == low)
    below = number < high or (interval[-1] == "]" and number == high)
    if not (above and below):
        raise ValueError(f"{where} must be in {interval}, got {number!r}")


def fill(section: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> Dict[str, Any]:
    """``defaults`` with the section's values; unknown and missing keys are errors."""
    check_keys(section, defaults, where)
    result = copy.deepcopy({**defaults, **section})
    for key, value in result.items():
        if defaults[key] is REQUIRED and (key not in section or value is None):
            raise ValueError(f"{where}.{key} is missing{_HINTS.get(key, '')}")
        result[key] = _number(value, defaults[key], f"{where}.{key}")
        allowed = CHOICES.get(f"{where}.{key}")
        if allowed and value not in allowed:
            raise ValueError(f"{where}.{key} must be one of {', '.join(allowed)}, got {value!r}")
    return result


def _scale_steps(train: Dict[str, Any], scale: float) -> None:
    """Multiplies everything that counts steps of the schedule; at least one step a phase stays."""
    if scale <= 0:
        raise ValueError(f"the scale of the steps must be positive, got {scale}")
    for phase in train["phases"]:
        phase["steps"] = max(1, round(phase["steps"] * scale))
    train["warmup"] = round(train["warmup"] * scale)
    train["validate_every"] = max(1, round(train["validate_every"] * scale))


def _resolve_phases(phases: Any) -> List[Dict[str, Any]]:
    if not isinstance(phases, list) or not phases:
        raise ValueError("train.phases: expected a list of {size: [H, W], batch, steps}")
    result = [fill(phase, PHASE, f"train.phases[{n}]") for n, phase in enumerate(phases)]
    for n, phase in enumerate(result):
        check_size(phase["size"], f"train.phases[{n}].size")
        if not all(isinstance(phase[key], int) and phase[key] >= 1 for key in ("steps", "batch")):
            raise ValueError(f"train.phases[{n}]: steps and batch must be whole numbers, at least 1")
    return result


def _resolve_train(section: Mapping[str, Any]) -> Dict[str, Any]:
    if isinstance(section, Mapping) and section.get("amp") is False:
        section = {**section, "amp": "off"}  # YAML reads a bare "off" as False
    train = fill(section, TRAIN, "train")
    train["task_weights"] = fill(train["task_weights"], TASK_WEIGHTS, "train.task_weights")
    train["ede"] = fill(train["ede"], TRAIN["ede"], "train.ede")
    train["phases"] = _resolve_phases(train["phases"])
    if train["validation_every"] == 1:
        raise ValueError("train.validation_every: every frame would be for validation, none for training")
    return train


def _resolve_distillation(section: Mapping[str, Any], task_weights: Mapping[str, float]) -> Dict[str, Any]:
    result = fill(section, DISTILLATION, "distillation")
    result["task_weights"] = fill(result["task_weights"], task_weights, "distillation.task_weights")
    if result["size"] is not None:
        check_size(result["size"], "distillation.size")
    if result["features"] not in (None, False):
        result["features"] = fill(result["features"], FEATURES, "distillation.features")
        groups = result["features"]["groups"]
        if not (isinstance(groups, list) and groups and all(group in FEATURE_GROUPS for group in groups)):
            raise ValueError(f"distillation.features.groups must be a list of some of {', '.join(FEATURE_GROUPS)}, got {groups!r}")
    if result["photos_share"] > 0:
        if not (result["weight"] > 0 or result["features"]):
            raise ValueError("distillation.photos_share: photos without labels teach nothing with weight: 0 and no features")
        if not result["photos"]:
            raise ValueError("distillation.photos is missing (or give --photos)")
        if result["weight"] > 0 and result["maps"] == "cached":
            raise ValueError("distillation.photos_share: photos without labels need maps: online")
    return result


def resolve(config: Mapping[str, Any], steps_scale: float = 1.0) -> Dict[str, Any]:
    """The configuration with all defaults of training filled in; ``steps_scale`` shortens or stretches it."""
    result = fill(config, SECTIONS, "configuration")
    result["init"] = fill(config.get("init") or {}, INIT, "init")
    result["train"] = _resolve_train(config["train"])
    if config.get("distillation"):
        result["distillation"] = _resolve_distillation(config["distillation"], result["train"]["task_weights"])
    if steps_scale != 1.0:
        _scale_steps(result["train"], steps_scale)
        result["steps_scale"] *= steps_scale
    return result


def describe(config: Mapping[str, Any]) -> str:
    """YAML of a resolved configuration with the network's defaults, too; train.py trains the same from it."""
    return dump_config({**config, "network": resolve_network(config["network"])})
