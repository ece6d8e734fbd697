# SPDX-License-Identifier: Apache-2.0
"""Losses of MTI-Net's tasks on NYUD and PASCAL, deep supervision at the scales' own sizes, and distillation.

A loss that is a sum over valid pixels divided by their number needs that number for the whole batch, also where a
batch is cut into pieces (processes, gradient accumulation): the mean of the pieces' own means is something else.
``ValidCounts`` supplies it; without one a loss counts in its own tensors.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.samples import LABEL_TASKS, unit_vectors, valid_pixels

# MTI-Net's weights for NYUD (semseg, depth, normals, edge) and PASCAL (all but depth); they agree where both have one.
TASK_WEIGHTS = {"semseg": 1.0, "human_parts": 2.0, "sal": 5.0, "normals": 10.0, "edge": 50.0, "depth": 1.0}
# MTI-Net weighs edges by 0.95 at full size; coarser pixels hold more edges, so the balance moves towards one half.
EDGE_WEIGHT, EDGE_WEIGHT_INITIAL = 0.9, 0.8
_UNLABELLED = -100

Size = Tuple[int, int]


class ValidCounts:
    """Numbers of valid (and of salient) pixels of a whole batch, as means over its equal pieces.

    share:  the targets that this process holds, task -> (B, ..., H, W);
    pieces: into how many pieces the whole batch is cut, over all processes;
    total:  sums a tensor over the processes.
    """

    def __init__(self, share: Mapping[str, Tensor], pieces: int, total: Callable[[Tensor], Tensor]):
        self._share, self._pieces, self._total = share, pieces, total
        self._known: Dict[Tuple[str, Size], Tensor] = {}

    def __call__(self, task: str, size: Size) -> Tensor:
        """(2,) float tensor: valid pixels at this size, and those of them whose target is 1."""
        if (task, size) not in self._known:
            target = shrink_target(task, self._share[task], size)
            self._known[task, size] = self._total(count_pixels(task, target)).clamp(min=1) / self._pieces
        return self._known[task, size]


def count_pixels(task: str, target: Tensor) -> Tensor:
    """(2,) float tensor: valid pixels, and valid pixels whose target is 1 (saliency balances its classes by them)."""
    valid = valid_pixels(task, target)
    positive = (valid & (target == 1)).sum() if task == "sal" else torch.zeros_like(valid, dtype=torch.long).sum()
    return torch.stack((valid.sum(), positive)).float()


def _counted(task: str, target: Tensor, counts: Optional[ValidCounts]) -> Tensor:
    if counts is not None:
        return counts(task, tuple(target.shape[-2:]))
    return count_pixels(task, target).clamp(min=1)


def label_loss(logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy of (B, K, H, W) with (B, H, W): the sum over labelled pixels divided by ``valid``."""
    known = valid_pixels("semseg", label)
    return F.cross_entropy(logits, label.where(known, torch.full_like(label, _UNLABELLED)), reduction="sum") / valid


def depth_loss(prediction: Tensor, depth: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error in metres over the ``valid`` pixels of (B, 1, H, W)."""
    return ((prediction - depth).abs() * valid_pixels("depth", depth)).sum() / valid


def normals_loss(prediction: Tensor, normal: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of unit vectors (B, 3, H, W), over the elements of ``valid`` pixels."""
    difference = (unit_vectors(prediction, 1) - normal).abs() * valid_pixels("normals", normal)
    return difference.sum() / (3 * valid)


def binary_loss(logits: Tensor, target: Tensor, positive_weight: Tensor | float) -> Tensor:
    """Class-balanced binary cross-entropy of (B, 1, H, W), divided by the number of elements.

    Ones weigh ``positive_weight``, zeros 1 - positive_weight, unknown pixels nothing.
    """
    weight = ((1 - positive_weight) + (2 * positive_weight - 1) * target) * valid_pixels("edge", target)
    return F.binary_cross_entropy_with_logits(logits, target.clamp(max=1), weight)


def _task_loss(task: str, prediction: Tensor, target: Tensor, edge_weight: float, counts: Optional[ValidCounts]) -> Tensor:
    if task == "edge":
        return binary_loss(prediction, target, edge_weight)
    valid, positive = _counted(task, target, counts)
    if task in LABEL_TASKS:
        return label_loss(prediction, target, valid)
    if task == "depth":
        return depth_loss(prediction, target, valid)
    if task == "normals":
        return normals_loss(prediction, target, valid)
    if task == "sal":
        return binary_loss(prediction, target, 1 - positive / valid)  # HED: the weight is the share of the others
    raise ValueError(f"no loss for the task {task!r}; known: {', '.join(TASK_WEIGHTS)}")


def shrink_target(task: str, target: Tensor, size: Size) -> Tensor:
    """A target at a smaller size: edges max-pooled, everything else sampled."""
    height, width = target.shape[-2:]
    if (height, width) == tuple(size):
        return target
    if task == "edge":
        return F.adaptive_max_pool2d(target, size)
    step_y, step_x = height // size[0], width // size[1]
    return target[..., step_y // 2 :: step_y, step_x // 2 :: step_x]


def resize_map(x: Tensor, size: Size) -> Tensor:
    """Bilinear resize in float32."""
    return (
        x.float()
        if tuple(x.shape[-2:]) == tuple(size)
        else F.interpolate(x.float(), size=size, mode="bilinear", align_corners=False)
    )


def task_losses(
    maps: Mapping[str, Tensor], batch: Mapping[str, Tensor], edge_weight: float, counts: Optional[ValidCounts] = None
) -> Dict[str, Tensor]:
    """Task -> unweighted loss at each map's own size, computed in float32."""
    return {
        task: _task_loss(
            task, prediction.float(), shrink_target(task, batch[task], tuple(prediction.shape[-2:])), edge_weight, counts
        )
        for task, prediction in maps.items()
    }


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float] = TASK_WEIGHTS) -> Tensor:
    """Sum of the tasks' losses, by default with MTI-Net's weights."""
    return sum(weights[task] * loss for task, loss in losses.items())


def supervised_loss(
    maps: Mapping[str, Tensor],
    initial: List[Mapping[str, Tensor]],
    batch: Mapping[str, Tensor],
    deep_supervision: float = 1.0,
    weights: Mapping[str, float] = TASK_WEIGHTS,
    counts: Optional[ValidCounts] = None,
) -> Dict[str, Tensor]:
    """``total`` (with gradient), and detached: each final map's loss and, where there are initial maps, their
    weighted sum ``deep_supervision``.

    Labels are compared at a quarter of the input size, the others at half: the maps are interpolated anyway,
    and 39 channels at full size would cost as much as a third of the network.
    """
    height, width = batch["image"].shape[-2:]
    final = {
        task: resize_map(m, (height // 4, width // 4) if task in LABEL_TASKS else (height // 2, width // 2))
        for task, m in maps.items()
    }
    losses = task_losses(final, batch, EDGE_WEIGHT, counts)
    total = weighted_sum(losses, weights)
    result = {task: loss.detach() for task, loss in losses.items()}
    if initial:
        deep = sum(weighted_sum(task_losses(scale, batch, EDGE_WEIGHT_INITIAL, counts), weights) for scale in initial)
        total = total + deep_supervision * deep
        result["deep_supervision"] = deep.detach()
    return {"total": total, **result}


def _map_distance(task: str, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    if task in LABEL_TASKS:
        soft = F.softmax(teacher / temperature, 1)
        cross = -(soft * F.log_softmax(student / temperature, 1)).sum(1).mean()
        return temperature**2 * (cross - torch.special.entr(soft).sum(1).mean())
    if task == "depth":
        return (student - teacher).abs().mean()
    if task == "normals":
        return (unit_vectors(student, 1) - unit_vectors(teacher, 1)).abs().mean()
    return 0.2 * F.binary_cross_entropy_with_logits(student, teacher.sigmoid())  # edge and sal


def distillation_loss(
    maps: Mapping[str, Tensor], teacher: Mapping[str, Tensor], temperature: float = 2.0, weights: Mapping[str, float] = TASK_WEIGHTS
) -> Tensor:
    """The student's maps against the teacher's, for the tasks that both have, at the teacher's size.

    KL on label logits, mean absolute difference of depth and of unit normals, cross-entropy of edge and saliency
    probabilities; weighted like the supervised losses.
    """
    shared = [task for task in maps if task in teacher]
    if not shared:
        raise ValueError(f"the teacher has none of the student's tasks: {sorted(teacher)}, {sorted(maps)}")
    return weighted_sum(
        {
            task: _map_distance(task, resize_map(maps[task], tuple(teacher[task].shape[-2:])), teacher[task].float(), temperature)
            for task in shared
        },
        weights,
    )
