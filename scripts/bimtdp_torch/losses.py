# SPDX-License-Identifier: Apache-2.0
"""Losses of MTI-Net's tasks, deep supervision at the scales' own sizes, and distillation from a teacher's maps."""

from __future__ import annotations

from typing import Dict, List, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .data import IGNORE_LABEL

TASK_WEIGHTS = {"semseg": 1.0, "depth": 1.0, "normals": 10.0, "edge": 50.0}  # MTI-Net's for NYUD


def semseg_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of (B, K, H, W) with (B, H, W), ignored pixels left out of the mean."""
    total = F.cross_entropy(logits, label, ignore_index=IGNORE_LABEL, reduction="sum")
    return total / (label != IGNORE_LABEL).sum().clamp(min=1)


def depth_loss(prediction: Tensor, depth: Tensor) -> Tensor:
    """Mean absolute error in metres; depth 0 is unknown."""
    valid = depth > 0
    return ((prediction - depth).abs() * valid).sum() / valid.sum().clamp(min=1)


def normals_loss(prediction: Tensor, normal: Tensor) -> Tensor:
    """Mean absolute difference of unit vectors, over elements of valid pixels."""
    valid = normal.abs().sum(1, keepdim=True) > 0
    difference = (F.normalize(prediction, dim=1) - normal).abs() * valid
    return difference.sum() / (3 * valid.sum()).clamp(min=1)


def edge_loss(logits: Tensor, edge: Tensor, positive_weight: float = 0.95) -> Tensor:
    """Class-balanced binary cross-entropy; edges weigh ``positive_weight``, the rest 1 - positive_weight."""
    weight = (1 - positive_weight) + (2 * positive_weight - 1) * edge
    return F.binary_cross_entropy_with_logits(logits, edge, weight)


def shrink_targets(batch: Mapping[str, Tensor], size) -> Dict[str, Tensor]:
    """Targets at a smaller size: labels, depth and normals sampled, edges max-pooled."""
    if tuple(batch["depth"].shape[-2:]) == tuple(size):
        return {task: batch[task] for task in ("semseg", "depth", "normals", "edge")}
    step_y, step_x = (batch["depth"].shape[-2] // size[0], batch["depth"].shape[-1] // size[1])
    rows, columns = slice(step_y // 2, None, step_y), slice(step_x // 2, None, step_x)
    return {"semseg": batch["semseg"][:, rows, columns], "depth": batch["depth"][..., rows, columns],
            "normals": batch["normals"][..., rows, columns], "edge": F.adaptive_max_pool2d(batch["edge"], size)}


def task_losses(maps: Mapping[str, Tensor], targets: Mapping[str, Tensor], edge_weight: float) -> Dict[str, Tensor]:
    """Task -> unweighted loss, computed in float32."""
    losses = {}
    for task, prediction in maps.items():
        prediction = prediction.float()
        if task == "semseg":
            losses[task] = semseg_loss(prediction, targets["semseg"])
        elif task == "depth":
            losses[task] = depth_loss(prediction, targets["depth"])
        elif task == "normals":
            losses[task] = normals_loss(prediction, targets["normals"])
        elif task == "edge":
            losses[task] = edge_loss(prediction, targets["edge"], edge_weight)
    return losses


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float] = TASK_WEIGHTS) -> Tensor:
    """Sum of the tasks' losses, by default with MTI-Net's weights."""
    return sum(weights[task] * loss for task, loss in losses.items())


def supervised_loss(maps: Mapping[str, Tensor], initial: List[Mapping[str, Tensor]], batch: Mapping[str, Tensor],
                    deep_supervision: float = 1.0,
                    weights: Mapping[str, float] = TASK_WEIGHTS) -> Dict[str, Tensor]:
    """Losses of the final maps (outputs at a quarter of the input size) and of the initial ones.

    Segmentation is compared at a quarter of the input size, the others at half: the maps are interpolated anyway,
    and 39 channels at full size would cost as much as a third of the network.
    """
    size = tuple(s // 2 for s in batch["depth"].shape[-2:])
    small = tuple(s // 4 for s in batch["depth"].shape[-2:])
    final = {task: m if task == "semseg" else F.interpolate(m.float(), size=size, mode="bilinear", align_corners=False)
             for task, m in maps.items()}
    targets = {**shrink_targets(batch, size), "semseg": shrink_targets(batch, small)["semseg"]}
    losses = task_losses(final, targets, 0.9)
    total = weighted_sum(losses, weights)
    for scale_maps in initial:
        scale_size = tuple(next(iter(scale_maps.values())).shape[-2:])
        # Coarse pixels hold more edges, so the balance moves towards one half.
        total = total + deep_supervision * weighted_sum(
            task_losses(scale_maps, shrink_targets(batch, scale_size), 0.8), weights)
    return {"total": total, **{task: loss.detach() for task, loss in losses.items()}}


def distillation_loss(maps: Mapping[str, Tensor], batch: Mapping[str, Tensor], temperature: float = 2.0,
                      weights: Mapping[str, float] = TASK_WEIGHTS) -> Tensor:
    """Teacher maps of the batch (``teacher_<task>``) against the student's, both at a quarter of the input size.

    KL on segmentation logits, mean absolute difference of depth and of unit normals, KL on edge probabilities;
    weighted like the supervised losses.
    """
    losses: Dict[str, Tensor] = {}
    for task, prediction in maps.items():
        target = batch.get(f"teacher_{task}")
        if target is None:
            continue
        prediction = prediction.float()
        if task == "semseg":
            log_student = F.log_softmax(prediction / temperature, 1)
            teacher = F.softmax(target / temperature, 1)
            cross = -(teacher * log_student).sum(1).mean()
            losses[task] = temperature ** 2 * (cross - torch.special.entr(teacher).sum(1).mean())
        elif task == "depth":
            losses[task] = (prediction - target).abs().mean()
        elif task == "normals":
            losses[task] = (F.normalize(prediction, dim=1) - F.normalize(target, dim=1)).abs().mean()
        elif task == "edge":
            losses[task] = 0.2 * F.binary_cross_entropy_with_logits(prediction, target.sigmoid())
    return weighted_sum(losses, weights)
