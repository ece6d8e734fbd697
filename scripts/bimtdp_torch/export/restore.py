# SPDX-License-Identifier: Apache-2.0
"""From a model file back to the network in PyTorch, to look into it, to let it teach, or to train it further.

A network of the file's configuration is lowered as in a conversion, so that it is known which layer each tensor of the
file came from; the layers get what is in the file, and lowering them again must give the file's tensors to the last bit.

What the file does not hold is as in a fresh network of a fixed seed: the branches that only training needs, the sizes of
the latent weights behind the signs (small ones among them, which a further training can turn), and the statistics of
batch normalisation, which the file has as a factor and an addend: ``training.batch_norm.measure_statistics`` gives a
network new ones without changing what it computes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from ..config import build_network
from ..estimators import RSign
from ..layers import BinaryConv2d, DepthwiseConv2d, PReLU, RPReLU, SqueezeExcite
from .binary_layers import attention_units
from .errors import ConversionError, ModelFileError
from .fuse import fuse
from .ir import Node, Output
from .model_file import canonical_json, describe_nodes, read_model_file
from .pipeline import lower

_SPREAD, _DRAWS = 2e-3, 64  # of the magnitudes of a filter whose mean the file gives


class Restored(NamedTuple):
    """A network of a model file, in evaluation mode."""

    description: Dict[str, Any]  # the file's JSON
    config: Dict[str, Any]       # section "network"
    network: nn.Module
    keys: List[str]              # of the state_dict: what came from the file, statistics included


class Place(NamedTuple):
    """Where a tensor of the file belongs: a layer and the name of the field in its node."""

    layer: str
    field: str


# -- from a tensor of the file into a layer ---------------------------------------------------------------------------

def _set(parameter: Tensor, array: np.ndarray) -> None:
    if tuple(parameter.shape) != array.shape:
        raise ModelFileError(f"a tensor has the shape {array.shape}, expected {tuple(parameter.shape)}")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _set_convolution(layer: nn.Conv2d, field: str, array: np.ndarray) -> List[str]:
    _set(getattr(layer, field), array.transpose(0, 3, 1, 2) if field == "weight" else array)
    return [field]


def _set_signs(layer: BinaryConv2d, field: str, array: np.ndarray) -> List[str]:
    """``weight`` sets the signs, ``alpha`` the magnitudes, whose mean a filter has to come out as alpha."""
    if field == "weight":
        bits = np.unpackbits(array, axis=-1, count=layer.weight.shape[1], bitorder="little").transpose(0, 3, 1, 2)
        sizes = layer.weight.abs()
        if layer.standardise:  # their sign is that of what is left after the mean: equal sizes keep it
            sizes = sizes.mean().expand_as(sizes)
        _set(layer.weight, np.where(bits, 1.0, -1.0).astype(np.float32) * sizes.numpy())
        return ["weight"]
    if not layer.standardise:  # standardised filters have a scale of their own
        _set_scale(layer, torch.from_numpy(array))
    return []


def _set_scale(layer: BinaryConv2d, alpha: Tensor) -> None:
    """Sums round, so few sets of magnitudes have exactly a given mean: draws nearly equal ones until they have it."""
    random, signs, wrong = torch.Generator().manual_seed(0), layer.weight.sign(), torch.ones_like(alpha, dtype=torch.bool)
    for _ in range(_DRAWS):
        spread = 1 + _SPREAD * (torch.rand(layer.weight.shape, generator=random) - 0.5)
        layer.weight[wrong] = (signs * alpha.view(-1, 1, 1, 1) * spread)[wrong]
        if not layer.power_of_two:  # which rounds the mean itself
            rest = torch.where(wrong, alpha - layer.weight_scale(), 0) * layer.weight[0].numel()
            layer.weight[:, 0, 0, 0] += signs[:, 0, 0, 0] * rest
        wrong = layer.weight_scale() != alpha
        if not wrong.any():
            return


def _set_batch_norm(layer: nn.BatchNorm2d, field: str, array: np.ndarray) -> List[str]:
    """The factor and the addend as weight and bias; mean 0 and a variance that makes 1 with epsilon change nothing."""
    variance = np.float32(1) - np.float32(layer.eps)
    while variance + np.float32(layer.eps) < 1:
        variance = np.nextafter(variance, np.float32(2))
    layer.running_mean.zero_()
    layer.running_var.fill_(float(variance))
    name = "weight" if field == "scale" else "bias"
    _set(getattr(layer, name), array)
    return [name, "running_mean", "running_var"]


def _set_binarizer(layer: nn.Sequential, field: str, array: np.ndarray) -> List[str]:
    return [f"0.{name}" for name in _set_batch_norm(layer[0], "scale" if field == "scale" else "bias", array)]


def _set_rsign(layer: RSign, field: str, array: np.ndarray) -> List[str]:
    _set(layer.bias, array)
    return ["bias"]


def _set_prelu(layer: nn.PReLU, field: str, array: np.ndarray) -> List[str]:
    _set(layer.weight, array)
    return ["weight"]


def _set_rprelu(layer: RPReLU, field: str, array: np.ndarray) -> List[str]:
    name = {"activation.slope": "prelu.weight"}.get(field, field.split(".")[-1])
    _set(layer.get_parameter(name), array)
    return [name]


def _set_squeeze_excite(layer: SqueezeExcite, field: str, array: np.ndarray) -> List[str]:
    which, kind = field.split("_")
    name = f"squeeze.{0 if which == 'reduce' else 2}.{kind}"
    _set(layer.get_parameter(name), array)
    return [name]


_SETTERS: Dict[type, Callable[[Any, str, np.ndarray], List[str]]] = {
    nn.Conv2d: _set_convolution, DepthwiseConv2d: _set_convolution, BinaryConv2d: _set_signs,
    nn.BatchNorm2d: _set_batch_norm, nn.Sequential: _set_binarizer, RSign: _set_rsign, PReLU: _set_prelu,
    RPReLU: _set_rprelu, SqueezeExcite: _set_squeeze_excite,
}


# -- which layer a tensor came from -----------------------------------------------------------------------------------

def _arrays(value: Any, field: str = "") -> Iterator[Tuple[str, np.ndarray]]:
    """All arrays of a node's fields with their paths: ("activation.slope", ..)."""
    if isinstance(value, np.ndarray):
        yield field, value
    elif isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _arrays(item, f"{field}.{key}" if field else str(key))


def _attention_place(network: nn.Module, node: Node, field: str) -> Place:
    """``gates.1.scale`` of an attention's node is of a batch normalisation of its second gate."""
    which, index, name = field.split(".")
    key, unit = attention_units(network.get_submodule(node.layer), which)[int(index)]
    part = 1 if name in ("scale", "bias") else 0
    return Place("" if unit is None else f"{node.layer}.{which}.{key}.{part}", name)


def _places(network: nn.Module, nodes: List[Node]) -> Dict[int, Place]:
    """id of an array of the nodes' fields -> where it came from. Fusing hands the arrays on as they are."""
    places = {}
    for node in nodes:
        for field, array in _arrays(node.fields):
            attention = node.op == "binary_attention"
            places[id(array)] = _attention_place(network, node, field) if attention else Place(node.layer, field)
    return places


class _Graph(NamedTuple):
    entries: str                     # JSON of the nodes
    tensors: Dict[str, np.ndarray]
    places: Dict[str, Place]         # of every tensor


def _graph(network: nn.Module) -> _Graph:
    """What a conversion of the network would write."""
    nodes, maps = lower(network, torch.zeros(1, 3, 64, 64))
    origins = _places(network, nodes)
    fields = [dict(node.fields) for node in nodes]  # the arrays live on, for their ids to stay their own
    fused = fuse(nodes, [Output(task, result.node) for task, result in maps.items()])
    entries, tensors = describe_nodes(fused, half=False)
    places = {name: origins[id(array)] for name, array in tensors.items() if id(array) in origins}
    for name in tensors:  # a convolution's own bias went into that of the batch normalisation behind it
        if name not in places:
            places[name] = Place(places[f"{name[:-len('bias')]}scale"].layer, "bias")
    del fields
    return _Graph(canonical_json(entries), tensors, places)


# -- the whole way ----------------------------------------------------------------------------------------------------

def _network_config(description: Dict[str, Any], path: Path) -> Dict[str, Any]:
    text = description.get("provenance", {}).get("network")
    if text is None:
        raise ModelFileError(f"{path}: does not say which network of the family it holds; only those can be restored")
    return json.loads(text)


def _fill(network: nn.Module, graph: _Graph, tensors: Dict[str, np.ndarray]) -> List[str]:
    """Writes the file's tensors into the layers; returns the keys of the state_dict that were set."""
    keys = {}
    for name, (path, field) in graph.places.items():
        if not path:
            continue  # a message that no target reads
        layer = network.get_submodule(path)
        keys.update({f"{path}.{key}": None for key in _SETTERS[type(layer)](layer, field, tensors[name])})
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
        keys = _fill(network, graph, tensors)
        again = _graph(network).tensors
        wrong = [name for name, array in again.items() if not np.array_equal(array, tensors[name])]
        if wrong:
            raise ModelFileError(f"{len(wrong)} of {len(again)} tensors cannot be restored exactly, the first is {wrong[0]}")
    except (ConversionError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    return Restored(description, config, network, keys)
