# SPDX-License-Identifier: Apache-2.0
"""Random small networks of the layers that the converter supports, described so that they can be made smaller again.

A network is a list of steps; each reads values of earlier steps by number (0 is the photo). Layers learn their channels from
what they read, and their weights depend on the seed and the step's number alone, so a network that lost some steps keeps
the weights of the others.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Dict, NamedTuple, Optional, Tuple

import torch
from convert_tools import randomise
from random_kinds import KINDS, MAX_EXTENT, Impossible, Value
from torch import Tensor, nn

_OFTEN = 2 * ("conv2d", "sign", "rsign", "bn_sign", "batch_norm", "batch_norm", "add")
_LARGEST = 1e9  # of a value
_OF_BITS = ("binary_conv2d", "binary_conv2d", "binary_conv2d", "pad_binary_conv2d", "cat_bits")


class Step(NamedTuple):
    """``options`` are the kind's own; all numbers of inputs are smaller than ``number``."""

    number: int
    kind: str
    inputs: Tuple[int, ...]
    options: Dict[str, Any]

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"v{self.number} = {self.kind}({', '.join(f'v{i}' for i in self.inputs)}{'; ' if options else ''}{options})"


@dataclass(frozen=True)
class Recipe:
    """All of a network and of what it is run on."""

    seed: int
    steps: Tuple[Step, ...]
    outputs: Tuple[int, ...]
    size: Tuple[int, int] = (16, 20)
    channels: int = 3
    floats: str = "f32"
    weights: str = "usual"  # or rounded, to multiples of 1/4: sums hit thresholds; or spread: layers' sizes differ by 1e8

    def __str__(self) -> str:
        head = f"seed {self.seed}: photo of {self.channels}x{self.size[0]}x{self.size[1]}, floats {self.floats}"
        lines = [f"{head}, {self.weights} weights", *map(str, self.steps)]
        return "\n  ".join([*lines, "outputs " + ", ".join(f"v{i}" for i in self.outputs)])


class RandomNetwork(nn.Module):
    """The layers of a recipe. Raises Impossible where a layer cannot read its input."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.recipe = recipe
        self.layers = nn.ModuleDict()
        image = torch.randn(1, recipe.channels, *recipe.size, generator=torch.Generator().manual_seed(recipe.seed))
        self.values = {0: Value(0, image, False)}
        for step in recipe.steps:
            self.add(step)
        del self.values

    def add(self, step: Step) -> Value:
        """One more layer, with its weights; what it makes of the photo."""
        kind, inputs = KINDS[step.kind], [self.values[number] for number in step.inputs]
        if kind.needs is not None and kind.needs != inputs[0].bits:
            raise Impossible("bits and floats")
        try:
            with torch.no_grad():
                layer = kind.make(inputs, step.options)
                self._fill(layer, step)
                tensor = layer(*(value.tensor for value in inputs))
        except (RuntimeError, ValueError, IndexError) as error:
            raise Impossible(str(error)) from error
        if tensor.numel() == 0 or max(tensor.shape[2:]) > MAX_EXTENT or not tensor.abs().max() <= _LARGEST:
            raise Impossible("too large, or empty")
        self.layers[str(step.number)] = layer
        bits = inputs[0].bits if kind.bits is None else kind.bits
        if step.kind == "binary_attention":
            bits = step.options["outer_sign"]
        self.values[step.number] = Value(step.number, tensor, bits)
        return self.values[step.number]

    def _fill(self, layer: nn.Module, step: Step) -> None:
        seed = 1000 * self.recipe.seed + step.number
        randomise(layer, seed)
        factor = 10 ** random.Random(seed).uniform(-4, 4)
        for name, tensor in layer.state_dict().items():
            if self.recipe.weights == "rounded" and tensor.dtype.is_floating_point:
                tensor.copy_((tensor * 4).round() / 4)
                if name.endswith("running_var"):
                    tensor.clamp_(min=0.25)
            elif self.recipe.weights == "spread" and tensor.dtype.is_floating_point:
                tensor.mul_(factor)

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        values = {0: x}
        for step in self.recipe.steps:
            values[step.number] = self.layers[str(step.number)](*[values[number] for number in step.inputs])
        return {f"v{number}": values[number] for number in self.recipe.outputs}


def draw(seed: int) -> Recipe:
    """The recipe of a seed: 1 to 12 steps, the last of them and perhaps others are outputs."""
    r = random.Random(seed)
    recipe = Recipe(
        seed,
        (),
        (),
        (r.randint(1, 40), r.randint(1, 40)),
        r.choice((3, 3, 3, 1, 5)),
        r.choice(("f32", "f32", "f16")),
        r.choice(("usual", "rounded", "spread")),
    )
    network, steps, wanted = RandomNetwork(recipe), [], r.randint(1, 12)
    network.values = {0: Value(0, torch.randn(1, recipe.channels, *recipe.size), False)}
    for _ in range(20 * wanted):
        if len(steps) == wanted:
            break
        step = _draw_step(r, network, len(steps) + 1)
        if step is not None:
            steps.append(step)
    outputs = {len(steps), *(r.randint(1, len(steps)) for _ in range(r.choice((0, 0, 1, 2))))}
    return replace(recipe, steps=tuple(steps), outputs=tuple(sorted(outputs)))


def _draw_step(r: random.Random, network: RandomNetwork, number: int) -> Optional[Step]:
    values = list(network.values.values())
    x = values[-1] if r.random() < 0.7 else r.choice(values)
    name = r.choice(_OF_BITS if x.bits and r.random() < 0.5 else (*KINDS, *_OFTEN))
    kind = KINDS[name]
    if kind.needs is not None and kind.needs != x.bits:
        return None
    options, others = kind.draw(r, x), kind.others(r, x, values)
    if options is None or others is None:
        return None
    step = Step(number, name, (x.number, *(v.number for v in others)), options)
    try:
        network.add(step)
    except Impossible:
        return None
    return step
