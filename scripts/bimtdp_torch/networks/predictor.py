# SPDX-License-Identifier: Apache-2.0
"""What all networks share: backbone, optional information bottleneck, and the tensors that training looks at."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor, nn

from .bottleneck import Bottlenecks
from .layers import Resize

Maps = Dict[str, Tensor]
SIDE_MULTIPLE = 32  # the coarsest scale's stride


def check_size(size: Sequence[Any], where: str) -> Tuple[int, int]:
    """(height, width) of a network's input. ValueError, which names ``where`` it was given, unless networks take it."""
    if not (
        isinstance(size, (list, tuple))
        and len(size) == 2
        and all(isinstance(side, int) and side > 0 and side % SIDE_MULTIPLE == 0 for side in size)
    ):
        raise ValueError(f"{where} must be height and width, multiples of {SIDE_MULTIPLE}, got {size!r}")
    return size[0], size[1]


def training_size(config: Mapping[str, Any], where: Any) -> Tuple[int, int]:
    """(height, width) of the last training phase. ValueError, which names ``where``: the configuration has none."""
    phases = config.get("train", {}).get("phases")
    if not phases:
        raise ValueError(f"{where}: names no size for its photos, give --size HEIGHT WIDTH")
    return check_size(phases[-1]["size"], f"{where}: its training size")


class PreActivations:
    """While active, remembers what the given ReLUs read: ``before(y)`` is the map whose ReLU is y, else y itself."""

    def __init__(self, layers: Sequence[nn.Module]):
        self.layers = [layer for layer in layers if isinstance(layer, nn.ReLU)]
        self._seen: Dict[int, Tuple[Tensor, Tensor]] = {}  # the output is kept, for its id to stay its own

    def __enter__(self) -> "PreActivations":
        def remember(layer: nn.Module, inputs: Tuple[Tensor, ...], output: Tensor) -> None:
            self._seen[id(output)] = (output, inputs[0])

        self._handles = [layer.register_forward_hook(remember) for layer in self.layers]
        return self

    def __exit__(self, *error: Any) -> None:
        for handle in self._handles:
            handle.remove()

    def before(self, value: Any) -> Any:
        """Also of lists and dicts of maps."""
        if isinstance(value, dict):
            return {key: self.before(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.before(item) for item in value]
        return self._seen[id(value)][1] if id(value) in self._seen else value


class DensePredictor(nn.Module):
    """Backbone and decoder. ``forward``: (B, 3, H, W) -> task -> (B, outputs, H, W).

    A subclass decodes: ``decode_maps`` for inference and ``decode_all`` for training.
    """

    def __init__(
        self, backbone: nn.Module, tasks: Dict[str, int], auxiliary: Dict[str, int], bottleneck: Optional[Bottlenecks] = None
    ):
        super().__init__()
        self.tasks, self.auxiliary = dict(tasks), dict(auxiliary)
        self.backbone = backbone
        self.bottleneck = bottleneck
        self.resize = Resize("bilinear")

    def decode_maps(self, backbone: List[Tensor]) -> Maps:
        """Backbone maps -> task -> map before the last resize."""
        raise NotImplementedError

    def decode_all(self, backbone: List[Tensor]) -> Dict[str, Any]:
        """Backbone maps -> the entries of ``training_outputs`` that the decoder makes."""
        raise NotImplementedError

    def heads_by_task(self) -> Dict[str, nn.Module]:
        """Task -> the head that makes its map."""
        raise NotImplementedError

    def final_activations(self) -> List[nn.Module]:
        """Layers behind which are the maps that ``training_outputs`` gives."""
        return self.backbone.final_activations()

    def encode(self, x: Tensor) -> List[Tensor]:
        """Backbone maps as the decoder gets them."""
        maps = self.backbone(x)
        return maps if self.bottleneck is None else self.bottleneck(maps)

    def maps(self, x: Tensor) -> Maps:
        """Task -> (B, outputs, H / s, W / s): the maps before the last resize, s the stride of the finest one."""
        return self.decode_maps(self.encode(x))

    def forward(self, x: Tensor) -> Maps:
        return {task: self.resize(m, x) for task, m in self.maps(x).items()}

    def training_outputs(self, x: Tensor, pre_relu: bool = False) -> Dict[str, Any]:
        """What losses need; keys present where the network has them.

        maps: task -> final map before the last resize; initial: list over scales of task -> map for deep supervision;
        backbone: list of backbone maps (mu where there is a bottleneck); features, distilled: lists over scales of
        task -> real features and real sums S^k before their signs; hidden: task -> what the head's last layer reads;
        vib: KL of the bottleneck, averaged over the scales.
        ``pre_relu``: maps that a ReLU made are given as they are before it (teacher and student alike: what a binary
        network has there is signed).
        """
        if x.shape[-2] % SIDE_MULTIPLE or x.shape[-1] % SIDE_MULTIPLE:
            raise ValueError(f"input of {x.shape[-2]}x{x.shape[-1]} pixels: height and width must be multiples of {SIDE_MULTIPLE}")
        with PreActivations(self.final_activations() if pre_relu else []) as recorded:
            maps = self.backbone(x)
            outputs: Dict[str, Any] = {"backbone": maps}
            if self.bottleneck is not None:
                maps, outputs["backbone"], outputs["vib"] = self.bottleneck.with_divergence(maps)
            outputs.update(self.decode_all(maps))
        return {key: value if key in ("maps", "initial", "vib") else recorded.before(value) for key, value in outputs.items()}
