# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on disk, and a network's start from one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import torch
from torch import nn

from ..efficientnet_lite import load_imagenet
from ..export.checkpoints import find_state_dict, read_checkpoint
from ..initialisation import initialise_from


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """Writes beside ``path`` and renames, so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    torch.save(dict(content), temporary)
    os.replace(temporary, path)


def load_state(path: Path) -> Optional[Dict[str, Any]]:
    """The content of a checkpoint, or None where there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def changed_options(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Dotted name -> (before, now) of what differs between two configurations."""
    result: Dict[str, Any] = {}
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            result.update(changed_options(old, new, f"{prefix}{key}."))
        elif old != new:
            result[f"{prefix}{key}"] = (old, new)
    return result


def initialise(network: nn.Module, init: Mapping[str, Any],
               report_file: Optional[Path] = None, log: Callable[[str], None] = print) -> None:
    """Applies the ``init`` section: ImageNet weights, then whatever fits of a checkpoint (or of its backbone).

    Says how many tensors of each part came from the checkpoint; ``report_file`` gets one line a tensor.
    """
    if init["imagenet"]:
        load_imagenet(network.backbone)
        log("initialised: ImageNet backbone")
    if not init["checkpoint"]:
        if not init["imagenet"]:
            log("initialised: fresh weights")
        return
    path = Path(init["checkpoint"])
    state = find_state_dict(read_checkpoint(path), path)
    found = initialise_from(network, state)
    if not found.used:
        raise ValueError(f"init.checkpoint: no tensor of {path} fits the network")
    log(f"initialised from {path.name}: {found}")
    if report_file is not None:
        report_file.write_text("".join(f"{key}\t{note}\n" for key, note in found.notes().items()))
