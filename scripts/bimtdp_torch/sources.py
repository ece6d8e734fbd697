# SPDX-License-Identifier: Apache-2.0
"""Networks from files: our own checkpoints (which carry their configuration), model files, public MTI-Net checkpoints, and a
user's module. A model file takes the place of a checkpoint wherever a network alone is needed."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional

from torch import Tensor, nn

from .checkpoints import CheckpointError, find_state_dict, load_strictly, read_checkpoint
from .export.errors import ConversionError
from .export.model_file import canonical_json, is_model_file
from .export.pipeline import Source, class_names
from .export.restore import restore
from .networks.build import build_network
from .networks.options import DATASETS, NETWORKS
from .networks.predictor import SIDE_MULTIPLE

_BACKBONES = {
    "w18": "hrnet_w18",
    "w32": "hrnet_w32",
    "w48": "hrnet_w48",
    "r18": "resnet18",
    "r50": "resnet50",
    "r101": "resnet101",
    "lite0": "efficientnet_lite0",
    "lite1": "efficientnet_lite1",
    "lite2": "efficientnet_lite2",
}
_KINDS = {"semseg": "classes", "human_parts": "classes", "depth": "depth", "normals": "normals", "edge": "edges"}


class Checkpoint(NamedTuple):
    """A checkpoint of train.py, or a model file's network."""

    config: Dict[str, Any]  # resolved
    network: nn.Module  # in evaluation mode
    step: int  # steps that it was trained for


def _load_model_file(path: Path) -> Checkpoint:
    """The configuration says no more than the file: name, network and the preferred size."""
    description, network_config, network, _ = restore(path)
    size = [description["preprocessing"][side] for side in ("height", "width")]
    config = {"name": description["name"], "network": network_config, "train": {"phases": [{"size": size}] if all(size) else []}}
    return Checkpoint(config, network, int(description["provenance"].get("training_steps", 0)))


def read_state_dict(path: Path) -> Dict[str, Tensor]:
    """The state_dict of a checkpoint, or what a model file has of one."""
    if not is_model_file(path):
        return find_state_dict(read_checkpoint(path), path)
    restored = restore(path)
    state = restored.network.state_dict()
    return {key: state[key] for key in restored.keys}


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of train.py or a model file, with its network; ``ValueError`` for another file."""
    if is_model_file(path):
        return _load_model_file(path)
    content = read_checkpoint(path)
    config = content.get("config") if isinstance(content, Mapping) else None
    if not isinstance(config, Mapping) or not isinstance(config.get("network"), Mapping):
        raise CheckpointError(
            f"{path}: carries no configuration, so it is no checkpoint of train.py "
            "(convert.py takes others with --network or --module)"
        )
    try:
        network = build_network(config["network"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its network cannot be built: {error}") from error
    load_strictly(network, find_state_dict(content, path), path)
    return Checkpoint(dict(config), network.eval(), int(content.get("step", 0)))


def _alternatives(names: Iterable[str]) -> str:
    """For a regular expression: the longest first, for some begin with others."""
    return "|".join(sorted(names, key=len, reverse=True))


def network_config(name: str) -> Dict[str, Any]:
    """The configuration that a name like mti_net_w18_nyud2 or single_task_r50_nyud4_depth stands for."""
    tasks = {task for final, _ in DATASETS.values() for task in final}
    pattern = (
        rf"({_alternatives(NETWORKS)})_({_alternatives(_BACKBONES)})_({_alternatives(DATASETS)})"
        rf"(?:_({_alternatives(tasks)}))?"
    )
    match = re.fullmatch(pattern, name.replace("-", "_"))
    if match is None or (match[1] == "single_task") != (match[4] is not None):
        raise ConversionError(
            f"unknown network '{name}' (expected {{{'|'.join(NETWORKS)}}}_{{{'|'.join(_BACKBONES)}}}_"
            f"{{{'|'.join(DATASETS)}}}, for instance mti_net_w18_nyud2; single_task names its task, too: "
            "single_task_w18_nyud2_depth)"
        )
    config = {"name": match[1], "backbone": _BACKBONES[match[2]], "dataset": match[3]}
    return config if match[4] is None else {**config, "task": match[4]}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(checkpoint: Checkpoint, name: str, path: Path) -> Source:
    network, config = checkpoint.network, checkpoint.config["network"]
    return Source(
        network,
        name,
        stride=SIDE_MULTIPLE,
        kinds={t: _KINDS.get(t, "raw") for t in network.tasks},
        class_names={t: class_names(t, n) for t, n in network.tasks.items() if _KINDS.get(t) == "classes"},
        provenance={"checkpoint": path.name, "checkpoint_sha256": _hash(path), "network": canonical_json(config)},
    )


def _load_public(path: Path, name: str) -> Source:
    config = network_config(name)
    network = build_network(config)
    load_strictly(network, find_state_dict(read_checkpoint(path), path), path)
    return _source(Checkpoint({"network": config}, network, 0), name, path)


def _load_own(path: Path) -> Source:
    checkpoint = load_checkpoint(path)
    config = checkpoint.config
    source = _source(checkpoint, str(config.get("name", path.stem)), path)
    source.config = config
    phases = config.get("train", {}).get("phases") or []
    if phases:
        source.size = (int(phases[-1]["size"][0]), int(phases[-1]["size"][1]))
    if checkpoint.step:
        source.provenance["training_steps"] = str(checkpoint.step)
    return source


def load_source(path: Path, network: Optional[str] = None) -> Source:
    """A checkpoint of train.py, or with ``network`` (such as mti_net_w18_nyud2) a state_dict with the keys of that network."""
    return _load_own(path) if network is None else _load_public(path, network)


def load_user_module(spec: str, checkpoint: Optional[Path]) -> Source:
    """``file.py:factory``: calls factory() of the file, then loads the state_dict if there is one."""
    file, _, factory = spec.partition(":")
    path = Path(file)
    if not path.is_file() or not factory:
        raise ConversionError(f"--module {spec}: expected path/to/file.py:factory")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    if not hasattr(module, factory):
        raise ConversionError(f"{path}: has no '{factory}'")
    network = getattr(module, factory)()
    if not isinstance(network, nn.Module):
        raise ConversionError(f"{path}: {factory}() returned {type(network).__name__}, expected a torch.nn.Module")
    source = Source(network, factory, provenance={"module": f"{path.name}:{factory}"})
    if checkpoint is not None:
        load_strictly(network, find_state_dict(read_checkpoint(checkpoint), checkpoint), checkpoint)
        source.provenance.update(checkpoint=checkpoint.name, checkpoint_sha256=_hash(checkpoint))
    return source
