# SPDX-License-Identifier: Apache-2.0
"""From a model file back to the network in PyTorch, to look into it, to let it teach, or to train it further.

A network of the file's configuration is lowered as in a conversion, where each tensor knows which layer it came from; the
inverse of that layer's handler gets what is in the file, and lowering again must give the file's tensors to the last bit.

What the file does not hold is as in a fresh network of a fixed seed: the branches that only training needs, the sizes of
the latent weights behind the signs (small ones among them, which a further training can turn), and the statistics of
batch normalisation, which the file has as a factor and an addend: ``training.batch_norm.measure_statistics`` gives a
network new ones without changing what it computes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np
import torch
from torch import nn

from ..networks.build import build_network
from .errors import ConversionError, ModelFileError
from .fuse import fuse
from .handlers import HANDLERS, lower
from .ir import Output, Parameter
from .model_file import canonical_json, describe_nodes, read_model_file


class Restored(NamedTuple):
    """A network of a model file, in evaluation mode."""

    description: Dict[str, Any]  # the file's JSON
    config: Dict[str, Any]  # section "network"
    network: nn.Module
    keys: List[str]  # of the state_dict: what came from the file, statistics included


class _Graph(NamedTuple):
    entries: str  # JSON of the nodes
    parameters: Dict[str, Parameter]


def _graph(network: nn.Module) -> _Graph:
    """What a conversion of the network would write."""
    nodes, maps = lower(network, torch.zeros(1, 3, 64, 64))
    entries, parameters = describe_nodes(fuse(nodes, [Output(task, result.node) for task, result in maps.items()]))
    return _Graph(canonical_json(entries), parameters)


def _network_config(description: Dict[str, Any], path: Path) -> Dict[str, Any]:
    text = description.get("provenance", {}).get("network")
    if text is None:
        raise ModelFileError(f"{path}: does not say which network of the family it holds; only those can be restored")
    return json.loads(text)


def _fill(network: nn.Module, parameters: Dict[str, Parameter], tensors: Dict[str, np.ndarray]) -> List[str]:
    """Writes the file's tensors into the layers; returns the keys of the state_dict that were set."""
    keys = {}
    for name, parameter in parameters.items():
        if not parameter.layer:
            continue  # a message that no target reads
        layer = network.get_submodule(parameter.layer)
        set_keys = HANDLERS.inverses[type(layer)](layer, parameter.field, tensors[name])
        keys.update({f"{parameter.layer}.{key}": None for key in set_keys})
    for name, layer in network.named_modules():  # it went into a batch normalisation, or came from the file
        if isinstance(layer, nn.Conv2d) and layer.bias is not None and f"{name}.weight" in keys:
            keys[f"{name}.bias"] = None
    return list(keys)


@torch.no_grad()
def restore(path: Path) -> Restored:
    """The network of a model file that convert.py made of a network of the family.

    ``ModelFileError``: another file, or one that cannot be restored exactly (as some of IR-Net's small filters, whose scale
    is that of what they are after standardising).
    """
    description, tensors = read_model_file(path)
    config = _network_config(description, path)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build_network(config).eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.zero_()
        graph = _graph(network)
        if graph.entries != canonical_json(description["nodes"]):
            raise ModelFileError("its graph is not that of its network; another version of the converter made it")
        keys = _fill(network, graph.parameters, tensors)
        again = _graph(network).parameters
        wrong = [name for name, found in again.items() if not np.array_equal(found.array, tensors[name])]
        if wrong:
            raise ModelFileError(f"{len(wrong)} of {len(again)} tensors cannot be restored exactly, the first is {wrong[0]}")
    except (ConversionError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    return Restored(description, config, network, keys)
