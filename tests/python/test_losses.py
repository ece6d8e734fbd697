# SPDX-License-Identifier: Apache-2.0
"""Each task's loss against its formula on small tensors, and losses of a batch cut into pieces."""

import math

import pytest
import torch
import torch.nn.functional as F

from bimtdp_torch.data.samples import IGNORE_LABEL, unit_vectors
from bimtdp_torch.training.losses import TASK_WEIGHTS, ValidCounts, distillation_loss, shrink_target, supervised_loss, task_losses


def one_task(task, prediction, target, **options):
    return float(task_losses({task: prediction}, {task: target}, options.get("edge_weight", 0.95))[task])


def test_label_losses_leave_unknown_pixels_out():
    logits = torch.randn(1, 7, 2, 2)
    label = torch.tensor([[[3, 255], [IGNORE_LABEL, 6]]])
    log = logits.log_softmax(1)[0]
    expected = -(log[3, 0, 0] + log[6, 1, 1]) / 2
    for task in ("semseg", "human_parts"):
        assert one_task(task, logits, label) == pytest.approx(float(expected), rel=1e-6)
        assert one_task(task, logits, torch.full_like(label, 255)) == 0.0


def test_depth_is_the_mean_error_of_known_pixels():
    prediction = torch.tensor([[[[2.0, 5.0], [1.0, 9.0]]]])
    assert one_task("depth", prediction, torch.tensor([[[[1.5, 0.0], [3.0, 0.0]]]])) == pytest.approx(1.25)


def test_normals_compare_unit_vectors_on_elements_of_known_pixels():
    prediction = torch.tensor([0.0, 0.0, 4.0, 3.0, 0.0, 4.0]).view(2, 3).t().reshape(1, 3, 1, 2)
    target = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).view(2, 3).t().reshape(1, 3, 1, 2)
    assert one_task("normals", prediction, target) == pytest.approx(2 / 3)


@pytest.mark.parametrize("shape,dim", [((3, 5, 7), 0), ((2, 3, 5, 7), 1)])
def test_unit_vectors(shape, dim):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 6, 7)
    assert torch.allclose(unit_vectors(x, dim), F.normalize(x, dim=dim), atol=1e-6, rtol=0)
    zero = torch.zeros(shape, requires_grad=True)
    unit_vectors(zero, dim).sum().backward()
    assert not unit_vectors(zero, dim).any() and torch.isfinite(zero.grad).all()


def test_edges_and_saliency_are_class_balanced():
    logits = torch.tensor([[[[0.5, -1.0, 2.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 0.0, 255.0]]]])
    positive, negatives = F.softplus(torch.tensor(-0.5)), F.softplus(torch.tensor([-1.0, 2.0])).sum()
    assert one_task("edge", logits, target) == pytest.approx(float(0.95 * positive + 0.05 * negatives) / 4, rel=1e-6)
    # HED's weight: the share of zeros among the known pixels, 2 of 3, for the ones.
    assert one_task("sal", logits, target) == pytest.approx(float(2 / 3 * positive + 1 / 3 * negatives) / 4, rel=1e-6)


def random_batch(count, height=32, width=64):
    generator = torch.Generator().manual_seed(0)

    def pick(*values):
        return torch.tensor(values)[torch.randint(len(values), (count, 1, height, width), generator=generator)]

    normals = F.normalize(torch.randn(count, 3, height, width, generator=generator), dim=1)
    batch = {
        "image": torch.zeros(count, 3, height, width),
        "semseg": pick(0, 1, 2, 255)[:, 0],
        "human_parts": pick(0, 1, 255)[:, 0],
        "depth": pick(0.0, 1.0, 2.5),
        "sal": pick(0.0, 1.0, 1.0, 255.0),
        "normals": normals * pick(0.0, 1.0),
        "edge": pick(0.0, 0.0, 1.0),
    }
    batch["depth"][0] = 0  # pieces differ in their number of known pixels
    batch["semseg"][0, :, 10:] = 255
    return batch


CHANNELS = {"semseg": 4, "human_parts": 2, "sal": 1, "normals": 3, "edge": 1, "depth": 1}


def test_pieces_add_up_to_the_whole_batch():
    torch.manual_seed(1)
    batch = random_batch(4)
    maps = {task: torch.randn(4, channels, 8, 16) for task, channels in CHANNELS.items()}
    initial = [{task: torch.randn(4, channels, size, 2 * size) for task, channels in CHANNELS.items()} for size in (8, 4)]
    whole = supervised_loss(maps, initial, batch, 0.7)
    counts = ValidCounts(batch, 2, lambda x: x)
    cut = lambda tree, part: {k: v[part] for k, v in tree.items()}
    pieces = [
        supervised_loss(cut(maps, part), [cut(scale, part) for scale in initial], cut(batch, part), 0.7, counts=counts)
        for part in (slice(0, 2), slice(2, 4))
    ]
    for key, value in whole.items():
        assert float(pieces[0][key] + pieces[1][key]) / 2 == pytest.approx(float(value), rel=1e-5), key
    alone = supervised_loss(cut(maps, slice(0, 2)), [], cut(batch, slice(0, 2)))
    assert float(alone["depth"]) != pytest.approx(float(pieces[0]["depth"]), rel=0.05)  # the counts matter here


def test_total_is_the_weighted_sum_and_maps_of_stride_8_are_fine():
    torch.manual_seed(2)
    batch = random_batch(2)
    maps = {task: torch.randn(2, channels, 4, 8, requires_grad=True) for task, channels in CHANNELS.items()}
    losses = supervised_loss(maps, [], batch)
    assert "deep_supervision" not in losses
    assert losses["total"].item() == pytest.approx(sum(TASK_WEIGHTS[t] * float(losses[t]) for t in CHANNELS), rel=1e-5)
    losses["total"].backward()
    assert all(torch.isfinite(m.grad).all() and m.grad.abs().sum() > 0 for m in maps.values())
    assert TASK_WEIGHTS == {"semseg": 1, "human_parts": 2, "sal": 5, "normals": 10, "edge": 50, "depth": 1}


def test_shrinking_keeps_edges_and_samples_the_rest():
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 3, 5] = 1
    assert shrink_target("edge", edge, (2, 2)).tolist() == [[[[0, 1], [0, 0]]]]
    label = torch.arange(64).view(1, 8, 8)
    assert shrink_target("semseg", label, (2, 2)).tolist() == [[[18, 22], [50, 54]]]


def test_distillation_is_zero_for_equal_maps_and_skips_tasks_the_teacher_lacks():
    torch.manual_seed(3)
    maps = {task: torch.randn(2, channels, 4, 8) for task, channels in CHANNELS.items()}
    teacher = {task: m for task, m in maps.items() if task not in ("edge", "sal", "depth")}
    assert float(distillation_loss(maps, teacher)) == pytest.approx(0.0, abs=1e-4)
    depth = {"depth": F.interpolate(maps["depth"] + 0.25, scale_factor=2.0, mode="bilinear")}
    assert float(distillation_loss(maps, depth)) == pytest.approx(0.25, rel=1e-4)
    bits = {"sal": torch.zeros(2, 1, 4, 8)}
    assert float(distillation_loss(bits, bits)) == pytest.approx(5 * 0.2 * math.log(2), rel=1e-5)
    with pytest.raises(ValueError, match="none of the student's tasks"):
        distillation_loss({"depth": maps["depth"]}, {"edge": maps["edge"]})
