# SPDX-License-Identifier: Apache-2.0
"""What changes with the step: input size, learning rate, IR-Net's estimator, and whether weights are binary yet."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import torch
from torch import nn

from ..networks.estimators import set_ede_progress
from ..networks.layers import BinaryConv2d, set_weight_binarization


class Phase(NamedTuple):
    """A stretch of training at one input size."""

    first: int
    steps: int
    size: Tuple[int, int]
    batch: int


def read_phases(train: Mapping[str, Any]) -> List[Phase]:
    """``train.phases``: list of {size: [H, W], batch, steps}."""
    phases, first = [], 0
    for entry in train["phases"]:
        phases.append(Phase(first, int(entry["steps"]), tuple(entry["size"]), int(entry["batch"])))
        first += phases[-1].steps
    return phases


def learning_rate_factor(step: int, total: int, warmup: int, schedule: str = "cosine") -> float:
    """Linear warm-up, then a cosine, a line or MTI-Net's polynomial of power 0.9 to 0."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return (1 - progress) ** (0.9 if schedule == "poly" else 1.0)


def parameter_groups(network: nn.Module, train: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Backbone and rest with their learning rates; weight decay on convolution and linear weights only, latent
    weights of binary convolutions with their own. Which parameters are together depends on the network alone."""
    latent = {id(m.weight) for m in network.modules() if isinstance(m, BinaryConv2d)}
    groups: Dict[Tuple[bool, str], List[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            backbone = name.startswith("backbone.") and ".projections." not in name
            kind = "vector" if parameter.dim() < 2 else "latent" if id(parameter) in latent else "weight"
            groups.setdefault((backbone, kind), []).append(parameter)
    decays = {"vector": 0.0, "latent": train["binary_weight_decay"], "weight": train["weight_decay"]}
    backbone_lr = train["lr"] if train["backbone_lr"] is None else train["backbone_lr"]
    return [
        {"params": parameters, "base_lr": backbone_lr if backbone else train["lr"], "weight_decay": decays[kind]}
        for (backbone, kind), parameters in groups.items()
    ]


def make_optimizer(groups: List[Dict[str, Any]], kind: str = "adamw") -> torch.optim.Optimizer:
    """``adamw`` or ``adam``, in one pass over each tensor where PyTorch has that (on the CPU from 2.4 on)."""
    optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[kind]
    try:
        return optimizer(groups, lr=0.0, fused=True)
    except (RuntimeError, TypeError):
        return optimizer(groups, lr=0.0, foreach=True)


def load_moments(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Takes the moments of a state_dict; rates, decays and the like stay those that ``optimizer`` was made with."""
    own = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, options in zip(optimizer.param_groups, own):
        group.update(options)


class PhaseList:
    """Phases one after another."""

    def __init__(self, phases: List[Phase]):
        self.phases = phases
        self.total = phases[-1].first + phases[-1].steps

    def phase(self, step: int) -> Phase:
        """The phase that ``step`` lies in."""
        return next(p for p in reversed(self.phases) if step >= p.first)

    def work_left(self, step: int) -> int:
        """Pixels that remain to be trained on after ``step`` steps."""
        return sum(max(0, p.first + p.steps - max(step, p.first)) * p.batch * p.size[0] * p.size[1] for p in self.phases)


class Schedule(PhaseList):
    """Applies everything that depends on the step alone; so a resumed run continues it."""

    def __init__(self, train: Mapping[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer):
        super().__init__(read_phases(train))
        self.train, self.network, self.optimizer = train, network, optimizer
        self.real_steps = min(round(train["two_step"] * self.total), self.total - 1)
        self._binary: Optional[bool] = None

    def binary(self, step: int) -> bool:
        """Whether the weights of binary layers are binary at ``step``."""
        return step >= self.real_steps

    def apply(self, step: int) -> float:
        """Sets network and optimizer up for ``step``; returns the factor of the learning rates."""
        factor = learning_rate_factor(step, self.total, self.train["warmup"], self.train["schedule"])
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        binary = self.binary(step)
        if binary != self._binary:
            set_weight_binarization(self.network, binary)
            self._binary = binary
        set_ede_progress(self.network, step / self.total, self.train["ede"]["t_min"], self.train["ede"]["t_max"])
        return factor
