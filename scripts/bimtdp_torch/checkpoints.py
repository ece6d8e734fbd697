# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files: read safely, loaded into networks, written whole. sources.py makes networks of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .files import whole_file


class CheckpointError(ValueError):
    """A file that is no checkpoint, or does not fit its network; the message names the file and the reason."""


def read_checkpoint(path: Path) -> Any:
    """The content of a checkpoint; only tensors and plain containers are unpickled. OSError: it cannot be opened."""
    if Path(path).suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # pickle, zip and torch each raise their own
        forbidden = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        reason = f"it holds a {forbidden[1]}" if forbidden else type(error).__name__
        raise CheckpointError(f"{path}: no checkpoint that can be read safely (weights_only=True): {reason}") from error


def _read_safetensors(path: Path) -> Dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: no safetensors file: {error}") from error


def find_state_dict(content: Any, path: Path) -> Dict[str, Tensor]:
    """The state_dict inside a checkpoint: bare, or under "model" or "state_dict"; the prefix "module." is removed."""
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path}: holds no state_dict (expected tensors by name, or a dict with the key 'model')")
    prefixed = all(key.startswith("module.") for key in content)
    return {key[len("module.") :] if prefixed else key: value for key, value in content.items()}


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Loads a state_dict whose names and shapes fit exactly; the message lists what does not."""
    own = network.state_dict()
    optional = {key for key in own if key.endswith("num_batches_tracked")}  # absent from very old checkpoints
    problems = [f"missing {key}" for key in own if key not in state and key not in optional]
    problems += [f"unexpected {key}" for key in state if key not in own]
    problems += [
        f"{key} has the shape {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    if problems:
        shown = "\n  ".join(problems[:8]) + (f"\n  and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise CheckpointError(f"{path}: does not fit the network ({len(problems)} differences):\n  {shown}")
    network.load_state_dict(state, strict=False)


def save_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint whole or not at all; its folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, open(temporary, "wb") as file:  # given a path, older PyTorch says nothing of a full disk
        torch.save(dict(content), file)


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """A state_dict alone, small enough to pass on: a safetensors file, tensors of two and more dimensions in half precision."""
    stored = {key: (value.half() if value.ndim > 1 else value).contiguous() for key, value in state.items()}
    with whole_file(path) as temporary:
        save_file(stored, temporary)
