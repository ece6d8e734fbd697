# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM for dense maps: which places of a task's features its answer rests on.

Selvaraju et al., "Grad-CAM" (ICCV 2017). For a score y and the features A (C, h, w) behind the distillation, taken
where they are still real-valued (before the outer sign of eq. (3), whose estimator passes the gradient on):

    alpha_k = mean over i, j of dy / dA_kij        map = ReLU(sum over k of alpha_k A_k), scaled to 0..1

Scores of dense outputs (a choice: the literature defines only the classifier's):

    semseg, human_parts   sum of class c's logits over the pixels where c wins (the largest class but the named one)
    edge, sal             sum of the logits over the pixels above 0, over all pixels where there are none
    depth                 mean of the map
    normals               mean length of the vectors along their own direction: <n, n / |n|>, direction held fixed
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.samples import to_input
from .inputs import InputError, Network

CLASS_TASKS = ("semseg", "human_parts")


class Cam(NamedTuple):
    """(H, W) map in 0..1 at the photo's size, what was scored, and how strong the map was before it was scaled."""

    map: np.ndarray
    target: str
    score: float
    peak: float
    live: float  # share of features that get a gradient; signs stop it where |S| >= 1
    prediction: np.ndarray  # the task's (H, W, C) output


def task_score(task: str, output: Tensor, wanted: Optional[int] = None, names: Sequence[str] = ()):
    """(score, words for it) of one photo's (C, H, W) output."""
    if task in CLASS_TASKS:
        winner = output.argmax(0)
        c = int(winner.flatten().bincount(minlength=len(output)).argmax()) if wanted is None else wanted
        where = winner == c
        if not where.any():  # the class wins nowhere: ask where it would be seen
            where = torch.ones_like(where)
        return (output[c] * where).sum(), names[c] if c < len(names) else f"class {c}"
    if task in ("edge", "sal"):
        logit = output[0] if len(output) == 1 else output[1] - output[0]
        where = logit > 0
        where = where if where.any() else torch.ones_like(where)
        return (logit * where).sum(), "edges" if task == "edge" else "salient"
    if task == "normals":
        return (output * F.normalize(output.detach(), dim=0)).sum(0).mean(), "directions"
    return output.mean(), "mean depth" if task == "depth" else f"mean {task}"


def weighted_map(features: Tensor, gradient: Tensor) -> Tensor:
    """ReLU(sum over k of mean(dy/dA_k) A_k): (C, h, w) twice -> (h, w)."""
    return (gradient.mean((1, 2), keepdim=True) * features).sum(0).clamp_min(0)


def _target(outputs: Dict, task: str, scale: int, network: str) -> Tensor:
    maps = outputs.get("distilled") or []
    if not maps:  # single-task and multi-task baselines have no distillation
        maps = [{task: m} for m in outputs.get("backbone") or []]
    if not 0 <= scale < len(maps):
        raise InputError(f"--scale {scale}: {network} has scales 0 to {len(maps) - 1}")
    return maps[scale][task]


def grad_cam(
    network: Network, photo: np.ndarray, scale: int, tasks: Optional[Sequence[str]] = None, wanted: Optional[int] = None
) -> Dict[str, Cam]:
    """Task -> Grad-CAM of one (H, W, 3) uint8 photo at the network's size."""
    x = to_input(photo[None])
    size = tuple(x.shape[-2:])
    with torch.enable_grad():
        outputs = network.module.training_outputs(x.requires_grad_(True))
        maps = outputs["maps"]
        chosen: List[str] = list(tasks or maps)
        for task in chosen:
            if task not in maps:
                raise InputError(f"--tasks {task}: {network.name} has {', '.join(maps)}")
        cams = {}
        for task in chosen:
            features = _target(outputs, task, scale, network.name)
            output = F.interpolate(maps[task].float(), size, mode="bilinear", align_corners=False)[0]
            score, target = task_score(task, output, wanted if task == "semseg" else None, network.classes)
            gradient = torch.autograd.grad(score, features, retain_graph=True, allow_unused=True)[0]
            if gradient is None:
                raise InputError(f"{network.name}: {task} does not depend on its features at scale {scale}")
            cams[task] = _cam(features, gradient, size, target, float(score.detach()), output)
    return cams


def _cam(features: Tensor, gradient: Tensor, size, target: str, score: float, output: Tensor) -> Cam:
    cam = weighted_map(features[0].detach().float(), gradient[0].float())
    large = F.interpolate(cam[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    low, high = float(large.min()), float(large.max())
    scaled = (large - low) / (high - low) if high > low else torch.zeros_like(large)
    return Cam(
        scaled.numpy(),
        target,
        score,
        float(cam.max()),
        float((gradient != 0).float().mean()),
        output.detach().permute(1, 2, 0).numpy(),
    )
