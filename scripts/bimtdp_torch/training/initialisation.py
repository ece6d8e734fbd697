# SPDX-License-Identifier: Apache-2.0
"""Starts a network from the weights of another: whatever fits by name and shape, with the names of other variants.

A float checkpoint of public MTI-Net, a run of train.py, a model file or a bare backbone (torchvision's ResNets, HRNet),
each a pickle or a safetensors file, initialises every network of the family as far as they share parts. What is binary
takes the float weights as latent weights.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from torch import Tensor, nn

from ..networks.efficientnet_lite import load_imagenet
from ..sources import read_state_dict

# (pattern of a name of the network, names under which another variant has the same tensor)
_ALIASES = [
    # MTI-Net's gated messages, where the attention has a gate or a message for every pair of tasks
    (r"(distillation_scale_\d)\.gates\.(\w+)_from_(\w+)\.0\.weight", (r"\1.self_attention.\2.\3.attention.0.weight",)),
    (r"(distillation_scale_\d)\.messages\.(\w+)_from_(\w+)\.0\.weight", (r"\1.self_attention.\2.\3.conv.weight",)),
    # the mask's 1x1 convolution, which has a binarizer in front of it and a batch normalisation behind it when binary
    (r"(fpm_scale_\d\.non_linear\.2)\.1\.weight", (r"\1.weight",)),
    # heads of MTI-Net and of the multi-task baseline
    (r"heads\.(.+)", (r"decoders.\1",)),
    (r"decoders\.(.+)", (r"heads.\1",)),
]


@dataclass
class Initialisation:
    """Which tensors of a network came from a checkpoint, and which did not."""

    used: Dict[str, str] = field(default_factory=dict)  # tensor of the network -> tensor of the checkpoint
    fresh: List[str] = field(default_factory=list)  # of the network, absent from the checkpoint
    misfits: Dict[str, Tuple[int, ...]] = field(default_factory=dict)  # of the network -> the checkpoint's other shape
    ignored: List[str] = field(default_factory=list)  # of the checkpoint, absent from the network

    def notes(self) -> Dict[str, str]:
        """Tensor of the network -> "loaded", "loaded from ...", "missing" or "other shape: ..."."""
        notes = {key: "loaded" if key == source else f"loaded from {source}" for key, source in self.used.items()}
        notes.update(dict.fromkeys(self.fresh, "missing"))
        notes.update({key: f"other shape: {shape}" for key, shape in self.misfits.items()})
        return notes

    def __str__(self) -> str:
        used = Counter(key.split(".")[0] for key in self.used)
        every = used + Counter(key.split(".")[0] for key in [*self.fresh, *self.misfits])
        parts = ", ".join(f"{part} {used[part]}/{count}" for part, count in sorted(every.items()))
        return (
            f"{len(self.used)} tensors used ({parts}), {len(self.fresh)} left fresh, {len(self.misfits)} did not "
            f"fit, {len(self.ignored)} of the checkpoint ignored"
        )


def _sources(key: str, task: str, bare_backbone: bool) -> List[str]:
    """Names under which a checkpoint may hold the network's tensor ``key``; ``task``: of a single-task network."""
    names = [key]
    if bare_backbone and key.startswith("backbone."):
        names.append(key[len("backbone.") :])
    if task and key.startswith("decoder."):
        rest = key[len("decoder.") :]
        names += [f"decoders.{task}.{rest}", f"heads.{task}.{rest}"]
    for pattern, replacements in _ALIASES:
        match = re.fullmatch(pattern, key)
        if match:
            names += [match.expand(replacement) for replacement in replacements]
    return names


def initialise_from(network: nn.Module, state: Mapping[str, Tensor]) -> Initialisation:
    """Copies what fits of a state_dict into ``network`` and says what that was.

    ``state`` has no prefix "module." (checkpoints.find_state_dict removes it).
    """
    own, result, touched = network.state_dict(), Initialisation(), set()
    tasks = list(getattr(network, "tasks", {}))
    task = tasks[0] if len(tasks) == 1 else ""
    bare = not any(key.startswith("backbone.") for key in state)
    for key, value in own.items():
        found = [name for name in _sources(key, task, bare) if name in state]
        touched.update(found)
        fitting = [name for name in found if state[name].shape == value.shape]
        if fitting:
            result.used[key] = fitting[0]
        elif found:
            result.misfits[key] = tuple(state[found[0]].shape)
        else:
            result.fresh.append(key)
    result.ignored = [key for key in state if key not in touched]
    network.load_state_dict({key: state[name] for key, name in result.used.items()}, strict=False)
    return result


def initialise(network: nn.Module, init: Mapping[str, Any], log: Callable[[str], None] = print) -> Dict[str, str]:
    """Applies the section ``init`` of a configuration: ImageNet weights, then whatever fits of a checkpoint (or of its
    backbone).

    Says how many tensors of each part came from the checkpoint; returns where each came from.
    """
    if init["imagenet"]:
        load_imagenet(network.backbone)
        log("initialised: ImageNet backbone")
    if not init["checkpoint"]:
        if not init["imagenet"]:
            log("initialised: fresh weights")
        return {}
    path = Path(init["checkpoint"])
    found = initialise_from(network, read_state_dict(path))
    if not found.used:
        raise ValueError(f"init.checkpoint: no tensor of {path} fits the network")
    log(f"initialised from {path.name}: {found}")
    return found.notes()
