# SPDX-License-Identifier: Apache-2.0
"""Random small networks in PyTorch and in the C++ library: the short form of differential.py, and that it finds what is wrong."""

import differential
import pytest
import torch
from random_kinds import KINDS
from random_networks import Recipe, Step, draw
from torch import nn

from bimtdp_torch.export import handlers


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_random_networks_agree():
    report = differential.run(100_000, 40)
    assert not report.failures, "\n\n".join(report.failures)
    assert report.compared == 40 and not report.refused, str(report)
    assert report.largest < 1e-5 and len(report.kinds) > 25


def test_a_seed_is_a_network():
    assert draw(7) == draw(7) != draw(8)
    assert {step.kind for seed in range(250) for step in draw(seed).steps} == set(KINDS)


def test_a_wrong_layer_is_found_and_made_small(monkeypatch):
    right = handlers.HANDLERS.modules[nn.MaxPool2d]

    def wrong(lowering, layer, x):
        result = right(lowering, layer, x)
        result.node.fields["padding"] = result.node.fields["padding"][2:] + result.node.fields["padding"][:2]
        return result

    monkeypatch.setitem(handlers.HANDLERS.modules, nn.MaxPool2d, wrong)
    window = {"kernel": (3, 3), "stride": 1, "padding": (1, 0)}
    steps = (
        Step(1, "conv2d", (0,), {"out": 9, "kernel": (3, 3), "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": True}),
        Step(2, "prelu", (1,), {}),
        Step(3, "max_pool2d", (2,), window),
        Step(4, "relu", (3,), {}),
        Step(5, "add", (4, 3), {}),
    )
    recipe = Recipe(5, steps, (2, 5), (12, 12))
    assert differential.fails(recipe)
    monkeypatch.setattr(differential, "draw", lambda seed: recipe)
    (text,) = differential.run(5, 1).failures
    assert text.startswith("seed 5: VerificationError: ")
    assert (
        "seed 5: photo of 3x" in text
        and "floats f32, usual weights\n  v3 = max_pool2d(v0; kernel=(3, 3), stride=1, padding=(1, 0))" in text
    )
    assert text.endswith("\n  outputs v3")


def test_networks_become_small():
    """Fails while it has a sigmoid of a convolution of at least 2 channels, on photos of at least 3 rows."""

    def check(recipe):
        kinds = {step.number: step.kind for step in recipe.steps}
        found = any(s.kind == "sigmoid" and kinds.get(s.inputs[0]) == "conv2d" for s in recipe.steps)
        wide = any(s.kind == "conv2d" and s.options["out"] >= 2 for s in recipe.steps)
        return "wrong" if found and wide and recipe.size[0] >= 3 else None

    conv = {"out": 64, "kernel": (1, 1), "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": False}
    steps = (
        Step(1, "relu", (0,), {}),
        Step(2, "conv2d", (1,), conv),
        Step(3, "sigmoid", (2,), {}),
        Step(4, "add", (3, 2), {}),
        Step(5, "hardtanh", (4,), {}),
    )
    small = differential.smallest(Recipe(1, steps, (3, 5), (30, 17)), check)
    assert [step.kind for step in small.steps] == ["conv2d", "sigmoid"] and small.steps[0].options["out"] == 2
    assert small.size == (3, 1) and small.outputs == (3,)
