# SPDX-License-Identifier: Apache-2.0
"""The whole conversion: network -> trace -> nodes -> fused graph -> model file -> comparison with PyTorch -> self-test."""

from __future__ import annotations

import copy
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch
from torch import Tensor, nn

from ..checkpoints import save_checkpoint
from ..data import nyud, pascal
from ..data.samples import IMAGE_MEAN, IMAGE_STD
from .errors import ConversionError, FlippedSignsError, ModelFileError, VerificationError
from .fuse import fuse
from .handlers import lower
from .ir import Node, Output
from .model_file import describe_nodes, describe_outputs, stored_arrays, tensors_hash, write_model_file
from .self_test import normalise_photo, self_test_photo
from .verify import build_verify_model, compare_with_pytorch, replay_self_test

FORMAT_VERSION = 1
_MAX_SEEDS = 5  # self-test photos to try when a tie of the first generation falls differently in a free run


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


def class_names(task: str, count: int) -> List[str]:
    """Names of a data set's classes; numbers where the count fits none that is known."""
    known = {
        ("semseg", 39): nyud.CLASS_NAMES,
        ("semseg", 40): (*nyud.CLASS_NAMES, "otherprop"),
        ("semseg", 21): pascal.CLASS_NAMES,
        ("human_parts", 7): pascal.PART_NAMES,
    }
    return list(known.get((task, count), [f"class {i}" for i in range(count)]))


@dataclass
class Options:
    """How to convert; the command line of scripts/convert.py explains each."""

    floats: str = "f32"  # or f16: weights of float convolutions and linear layers
    verify: bool = True
    self_test_size: Tuple[int, int] = (96, 128)
    seed: int = 1
    channels: int = 3
    licence: str = ""
    provenance: Dict[str, str] = field(default_factory=dict)
    mean: Tuple[float, float, float] = IMAGE_MEAN
    std: Tuple[float, float, float] = IMAGE_STD
    quiet: bool = False
    rounded_checkpoint: Optional[Path] = None  # where to save the network that the file holds

    @property
    def show_progress(self) -> bool:
        return not self.quiet and sys.stderr.isatty()


@dataclass
class Result:
    """What a conversion found out."""

    nodes: int
    bytes: int
    seconds: float
    report: Optional[dict] = None  # of verify_model --against; None without verification
    seed: int = 0
    message: str = ""

    def largest(self, run: str = "alone") -> float:
        """The largest float difference, as a share of its tensor's largest value; ``run`` is alone or free."""
        return max((n[run]["max_difference"] / n[run]["scale"] for n in self.report["nodes"] if n[run]["scale"]), default=0.0)

    def flips(self, run: str = "alone") -> int:
        return sum(n[run]["flips"] for n in self.report["nodes"])

    def output_differences(self) -> str:
        """Of the free run, for people: "semseg 1.2e-06, depth 3.1e-07"."""
        return ", ".join(f"{o['task']} {o['free']['max_difference']:.1e}" for o in self.report["outputs"])


def _say(options: Options, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def round_weights_to_half(network: nn.Module) -> None:
    """Rounds the weights that the file stores in half precision, so that PyTorch and the engine run the same network."""
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            rounded = layer.weight.detach().to(torch.float16).float()
            if not torch.isfinite(rounded).all():
                raise ConversionError(
                    f"module '{name}' ({type(layer).__name__}): weights do not fit half precision; use --floats f32"
                )
            layer.weight = nn.Parameter(rounded, requires_grad=False)


def build_graph(network: nn.Module, image: Tensor, source: Source) -> Tuple[List[Node], List[Output]]:
    """Fused nodes and outputs of a network in evaluation mode; every node has its value for ``image``."""
    nodes, maps = lower(network, image)
    outputs = []
    for task, result in maps.items():
        if not torch.isfinite(result.node.value).all():
            raise ConversionError(f"output '{task}' holds NaN or infinity on the self-test image")
        name = re.sub(r"[^A-Za-z0-9_.]", "_", task)[:128]
        kind = source.kinds.get(task, "raw")
        node = result.node
        names = source.class_names.get(task) or class_names(task, node.channels)
        if kind == "classes" and len(names) != node.channels:
            raise ConversionError(f"output '{task}': {len(names)} class names for {node.channels} channels")
        outputs.append(Output(name, node, kind, names if kind == "classes" else []))
    return fuse(nodes, outputs), outputs


def _description(
    source: Source, options: Options, nodes: List[dict], outputs: List[dict], digest: str, test: dict
) -> Dict[str, Any]:
    height, width = source.size
    provenance = {**source.provenance, "floats": options.floats, "torch": torch.__version__.split("+")[0], **options.provenance}
    return {
        "format_version": FORMAT_VERSION,
        "name": source.name,
        "producer": "bimtdp scripts/convert.py",
        "licence": options.licence,
        "provenance": {str(k): str(v) for k, v in provenance.items()},
        "preprocessing": {"mean": list(options.mean), "std": list(options.std), "height": height, "width": width},
        "stride": source.stride,
        "nodes": nodes,
        "outputs": outputs,
        "tensors_hash": digest,
        "self_test": test,
    }


def _self_test_input(options: Options, size: Tuple[int, int], seed: int) -> Tensor:
    if options.channels == 3:
        return normalise_photo(self_test_photo(*size, seed), options.mean, options.std)
    return torch.randn(1, options.channels, *size, generator=torch.Generator().manual_seed(seed))


def _round_up(size: Tuple[int, int], stride: int) -> Tuple[int, int]:
    return tuple(-(-extent // stride) * stride for extent in size)


class Conversion:
    """One network on its way to ``output``."""

    def __init__(self, source: Source, output: Path, options: Options):
        if options.rounded_checkpoint is not None and source.config is None:
            raise ConversionError("only a checkpoint of train.py can be written again with rounded weights")
        if options.rounded_checkpoint is not None and Path(options.rounded_checkpoint).resolve() == Path(output).resolve():
            raise ConversionError(f"{output}: both the model file and the rounded checkpoint would be written to it")
        self.source, self.output, self.options = source, Path(output), options
        self.network = copy.deepcopy(source.network).float().eval()
        self.network.requires_grad_(False)
        if options.floats == "f16":
            round_weights_to_half(self.network)
        self.size = _round_up(options.self_test_size, source.stride)

    def save_checkpoint(self, path: Path) -> None:
        """The network that the file holds, weights rounded as in it, as a checkpoint that evaluate.py reads."""
        save_checkpoint({"config": dict(self.source.config), "model": self.network.state_dict()}, path)

    def photo(self, seed: int) -> Tensor:
        """The normalised self-test input."""
        return _self_test_input(self.options, self.size, seed)

    def build(self, image: Tensor) -> None:
        """Graph, JSON and tensors; the nodes keep PyTorch's values for ``image``."""
        self.nodes, self.outputs = build_graph(self.network, image, self.source)
        self.entries, parameters = describe_nodes(self.nodes)
        self.tensors = stored_arrays(parameters, self.options.floats == "f16")
        self.digest = tensors_hash(self.tensors)

    def write(self, path: Path, test: Dict[str, Any]) -> int:
        outputs = describe_outputs(self.outputs, self.nodes)
        description = _description(self.source, self.options, self.entries, outputs, self.digest, test)
        try:
            return write_model_file(path, self.tensors, description)
        except ModelFileError as error:
            raise ConversionError(str(error)) from error

    def compare(self, program: Path, seed: int) -> dict:
        """Builds the graph for one photo and compares it with PyTorch."""
        self.build(self.photo(seed))
        _say(
            self.options,
            f"{len(self.nodes)} nodes; comparing with PyTorch on the {self.size[0]}x{self.size[1]} photo of seed {seed}",
        )
        draft = Path(f"{self.output}.{os.getpid()}.draft")
        try:
            self.write(draft, {"unchecked": True})
            return compare_with_pytorch(program, draft, self.nodes, not self.options.show_progress)
        finally:
            draft.unlink(missing_ok=True)

    def verified(self, program: Path) -> Tuple[dict, int]:
        """The report of the first photo whose free run passes. Node by node, the first failure is the last word."""
        for seed in range(self.options.seed, self.options.seed + _MAX_SEEDS):
            report = self.compare(program, seed)
            if report["failures"]:
                bad = [n for n in report["nodes"] if not n["agrees"]]
                raise VerificationError(
                    f"{len(bad)} of {len(report['nodes'])} nodes differ from PyTorch, the first is "
                    f"{bad[0]['name']} ({bad[0]['op']}): {report['messages']}"
                )
            if report["outputs_too_far"]:
                raise VerificationError(
                    f"running freely, {report['outputs_too_far']} outputs are too far from PyTorch's: {report['messages']}"
                )
            if report["passed"]:
                return report, seed
            _say(self.options, "every node agrees, but a tie travels on when the network runs freely: trying another photo")
        raise FlippedSignsError(
            f"running freely, {report['layers_with_too_many_flips']} layers have more than 1 flipped "
            f"sign in 10,000 on {_MAX_SEEDS} photos in a row"
        )


def convert(source: Source, output: Path, options: Options = Options()) -> Result:
    """Converts ``source`` into the model file ``output``. Raises ConversionError or VerificationError; then no file is
    written."""
    started = time.time()
    conversion = Conversion(source, output, options)
    torch.set_float32_matmul_precision("highest")
    program, report, seed, test = None, None, options.seed, {"unchecked": True}
    if options.verify:
        program = build_verify_model(options.quiet)
        report, seed = conversion.verified(program)
        if options.channels == 3:
            test = {"height": conversion.size[0], "width": conversion.size[1], "seed": seed, "digests": report["digests"]}
    else:
        conversion.build(conversion.photo(seed))
    candidate = Path(f"{output}.{os.getpid()}.candidate")
    try:
        size = conversion.write(candidate, test)
        message = _last_check(program, candidate, options)
        if options.rounded_checkpoint is not None:
            conversion.save_checkpoint(options.rounded_checkpoint)
        os.replace(candidate, output)
    finally:
        candidate.unlink(missing_ok=True)
    return Result(len(conversion.nodes), size, time.time() - started, report, seed, message)


def _last_check(program: Optional[Path], candidate: Path, options: Options) -> str:
    """Replays the self-test of the finished file; says what was checked."""
    if not options.verify:
        return "not verified, marked as unchecked"
    if options.channels != 3:
        return "verified, but without a self-test in the file (that needs a photo of 3 channels)"
    return replay_self_test(program, candidate)
