# SPDX-License-Identifier: Apache-2.0
"""Binarized attention against equations (2) and (3) written out, in both topologies."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from bimtdp_torch.networks.attention import BinaryAttention, MultiModalDistillation

TASKS, AUXILIARY = ["semseg", "depth"], ["semseg", "normals", "depth"]


def features(channels=5):
    torch.manual_seed(1)
    return {task: torch.randn(2, channels, 6, 4) for task in AUXILIARY}


def sign(x):
    return torch.where(x >= 0, 1.0, -1.0)


def test_equations_two_and_three():
    layer = BinaryAttention(TASKS, AUXILIARY, 5, input_binarizer="sign", gate_batch_norm=False, message_batch_norm=False).eval()
    x = features()
    bits = {task: sign(v) for task, v in x.items()}
    result = layer(x)
    for target in TASKS:
        gate = (F.conv2d(bits[target], sign(layer.gates[target][0].weight), padding=1) >= 0).float()
        total = 0
        for source in AUXILIARY:
            if source != target:
                weight = layer.messages[source][0].weight
                alpha = weight.abs().mean((1, 2, 3)).view(1, -1, 1, 1)
                total = total + F.conv2d(bits[source], sign(weight), padding=1) * alpha
        assert torch.equal(result[target], sign(bits[target] + gate * total))


def test_source_gates_are_applied_to_each_message():
    layer = BinaryAttention(
        TASKS,
        AUXILIARY,
        5,
        gate_source="source",
        message_weights="pairwise",
        input_binarizer="sign",
        gate_batch_norm=False,
        message_batch_norm=False,
        message_scale="none",
        identity="real",
        outer_sign=False,
    ).eval()
    x = features()
    result = layer(x)
    for target in TASKS:
        expected = x[target]
        total = 0
        for source in AUXILIARY:
            if source != target:
                key, bits = f"{target}_from_{source}", sign(x[source])
                gate = (F.conv2d(bits, sign(layer.gates[key][0].weight), padding=1) >= 0).float()
                total = total + gate * F.conv2d(bits, sign(layer.messages[key][0].weight), padding=1)
        torch.testing.assert_close(result[target], expected + total)


@pytest.mark.parametrize(
    "options",
    [
        dict(zip(("gate_source", "message_weights", "input_binarizer", "identity", "outer_sign"), values))
        for values in itertools.product(
            ("target", "source"), ("per_source", "pairwise"), ("bn_sign", "rsign"), ("binary", "real"), (True, False)
        )
    ],
)
def test_every_option_trains(options):
    layer = BinaryAttention(TASKS, AUXILIARY, 4, **options)
    result = layer(features(4))
    assert set(result) == set(TASKS)
    sum(v.square().mean() + v.mean() for v in result.values()).backward()
    assert all(p.grad is not None for name, p in layer.named_parameters() if "messages" in name)


def test_the_sums_are_what_the_outer_sign_is_taken_of():
    x = features()
    for layer in (BinaryAttention(TASKS, AUXILIARY, 5).eval(), MultiModalDistillation(TASKS, AUXILIARY, 5)):
        sums, result = layer.sums(x), layer(x)
        assert all(torch.equal(layer.outer_sign(sums[t]), result[t]) for t in TASKS)


def test_binary_sources_are_taken_as_they_are():
    """As from an earlier attention: the gradient reaches the source as if there were no sign."""
    layer = BinaryAttention(TASKS, AUXILIARY, 5, input_binarizer="sign", binary_sources=TASKS).eval()
    plain = BinaryAttention(TASKS, AUXILIARY, 5, input_binarizer="sign").eval()
    plain.load_state_dict(layer.state_dict())
    x = {task: sign(v) if task in TASKS else v for task, v in features().items()}
    assert all(torch.equal(layer(x)[t], plain(x)[t]) for t in TASKS)
    for attention, reaches in ((layer, True), (plain, False)):
        source = x["depth"].clone().requires_grad_()
        attention.sums({**x, "depth": source})["semseg"].sum().backward()
        assert bool(source.grad.any()) == reaches


def test_options_of_irnet_reach_gates_and_messages():
    layer = BinaryAttention(
        TASKS,
        AUXILIARY,
        5,
        estimator="ede",
        weight_estimator="ede",
        standardise=True,
        message_batch_norm=False,
        message_scale="power_of_two",
    )
    convs = [m[0] for group in (layer.gates, layer.messages) for m in group.values()]
    assert all(c.standardise and c.weight_sign.estimator == "ede" for c in convs)
    assert all(m[0].power_of_two and m[0].scaled for m in layer.messages.values())
    assert {m.estimator for m in layer.modules() if hasattr(m, "ede")} == {"ede"}


def test_number_of_convolutions():
    count = {
        w: sum(
            1
            for n, _ in BinaryAttention(AUXILIARY, AUXILIARY, 4, message_weights=w).named_parameters()
            if n.endswith("0.weight") and ("gates" in n or "messages" in n)
        )
        for w in ("per_source", "pairwise")
    }
    assert count == {"per_source": 3 + 3, "pairwise": 3 + 6}
    assert sum(1 for n, _ in MultiModalDistillation(AUXILIARY, AUXILIARY, 4).named_parameters()) == 2 * 3 * 2


def test_bad_option_is_named():
    with pytest.raises(ValueError, match="gate_source"):
        BinaryAttention(TASKS, AUXILIARY, 4, gate_source="both")
