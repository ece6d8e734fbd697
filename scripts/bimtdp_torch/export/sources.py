# SPDX-License-Identifier: Apache-2.0
"""What is converted: our own checkpoints (which carry their configuration), public MTI-Net ones, and a user's module."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from torch import nn

from .. import data, pascal
from ..checkpoints import Checkpoint, find_state_dict, load_checkpoint, load_strictly, read_checkpoint
from ..config import DATASETS, NETWORKS, build_network
from .errors import ConversionError
from .model_file import canonical_json

_BACKBONES = {"w18": "hrnet_w18", "w32": "hrnet_w32", "w48": "hrnet_w48", "r18": "resnet18", "r50": "resnet50",
              "r101": "resnet101", "lite0": "efficientnet_lite0", "lite1": "efficientnet_lite1",
              "lite2": "efficientnet_lite2"}
_KINDS = {"semseg": "classes", "human_parts": "classes", "depth": "depth", "normals": "normals", "edge": "edges"}


@dataclass
class Source:
    """A network ready for conversion and what is known about it."""

    network: nn.Module
    name: str
    stride: int = 1
    size: Tuple[int, int] = (0, 0)  # preferred input size; 0: none
    kinds: Dict[str, str] = field(default_factory=dict)
    class_names: Dict[str, List[str]] = field(default_factory=dict)
    provenance: Dict[str, str] = field(default_factory=dict)
    config: Optional[Mapping[str, Any]] = None  # of a checkpoint of train.py


def _alternatives(names: Iterable[str]) -> str:
    """For a regular expression: the longest first, for some begin with others."""
    return "|".join(sorted(names, key=len, reverse=True))


def network_config(name: str) -> Dict[str, Any]:
    """The configuration that a name like mti_net_w18_nyud2 or single_task_r50_nyud4_depth stands for."""
    tasks = {task for final, _ in DATASETS.values() for task in final}
    pattern = (rf"({_alternatives(NETWORKS)})_({_alternatives(_BACKBONES)})_({_alternatives(DATASETS)})"
               rf"(?:_({_alternatives(tasks)}))?")
    match = re.fullmatch(pattern, name.replace("-", "_"))
    if match is None or (match[1] == "single_task") != (match[4] is not None):
        raise ConversionError(f"unknown network '{name}' (expected {{{'|'.join(NETWORKS)}}}_{{{'|'.join(_BACKBONES)}}}_"
                              f"{{{'|'.join(DATASETS)}}}, for instance mti_net_w18_nyud2; single_task names its task, too: "
                              "single_task_w18_nyud2_depth)")
    config = {"name": match[1], "backbone": _BACKBONES[match[2]], "dataset": match[3]}
    return config if match[4] is None else {**config, "task": match[4]}


def class_names(task: str, count: int) -> List[str]:
    """Names of a data set's classes; numbers where the count fits none that is known."""
    known = {("semseg", 39): data.CLASS_NAMES, ("semseg", 40): (*data.CLASS_NAMES, "otherprop"),
             ("semseg", 21): pascal.CLASS_NAMES, ("human_parts", 7): pascal.PART_NAMES}
    return list(known.get((task, count), [f"class {i}" for i in range(count)]))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(checkpoint: Checkpoint, name: str, path: Path) -> Source:
    network, config = checkpoint.network, checkpoint.config["network"]
    return Source(network, name, stride=32, kinds={t: _KINDS.get(t, "raw") for t in network.tasks},
                  class_names={t: class_names(t, n) for t, n in network.tasks.items() if _KINDS.get(t) == "classes"},
                  provenance={"checkpoint": path.name, "checkpoint_sha256": _hash(path), "network": canonical_json(config)})


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
