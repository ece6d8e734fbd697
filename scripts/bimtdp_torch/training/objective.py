# SPDX-License-Identifier: Apache-2.0
"""The loss of a training step: supervised + beta * bottleneck + distillation of maps + lambda * of features."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

import torch
from torch import Tensor

from .distillation import OnlineTeacher, feature_losses, load_teacher
from .losses import ValidCounts, distillation_loss, supervised_loss


class Objective:
    """All terms of a resolved configuration. Holds the teacher where it runs on the batches themselves."""

    def __init__(self, config: Mapping[str, Any], device: torch.device):
        self.train = config["train"]
        self.options = config.get("distillation") or {}
        self.features = self.options.get("features")
        self.cached_maps = bool(self.options) and self.options["weight"] > 0 and self.options["maps"] == "cached"
        self.online_maps = bool(self.options) and self.options["weight"] > 0 and self.options["maps"] == "online"
        self.teacher: Optional[OnlineTeacher] = None
        if self.features or self.online_maps:
            groups = self.features["groups"] if self.features else ()
            self.teacher = OnlineTeacher(load_teacher(self.options["teacher"], device), groups, self.pre_relu)

    @property
    def pre_relu(self) -> bool:
        """Whether features are compared as they are before a ReLU, the student's, too."""
        return bool(self.features) and self.features["pre_relu"]

    def teach(self, image: Tensor, step: int) -> Optional[Dict[str, Any]]:
        """What the online teacher says of this batch, or None where nothing is asked for at this step."""
        if self.teacher is None or not (self.online_maps or step % self.features["every"] == 0):
            return None
        return self.teacher(image)

    def _maps_term(self, outputs: Mapping[str, Any], batch: Mapping[str, Tensor], taught: Optional[Mapping[str, Any]]) -> Tensor:
        if self.online_maps:
            targets = taught["maps"]
        else:
            targets = {task: batch[f"teacher_{task}"] for task in outputs["maps"] if f"teacher_{task}" in batch}
        return self.options["weight"] * distillation_loss(
            outputs["maps"], targets, self.options["temperature"], self.options["task_weights"]
        )

    def __call__(
        self,
        outputs: Mapping[str, Any],
        batch: Mapping[str, Tensor],
        step: int,
        taught: Optional[Mapping[str, Any]] = None,
        counts: Optional[ValidCounts] = None,
    ) -> Dict[str, Tensor]:
        """``total`` (with gradient) and, detached, its parts: the tasks' losses, deep_supervision, vib (unweighted
        KL), distillation (weighted), features and features_<group> (unweighted)."""
        losses = supervised_loss(
            outputs["maps"], outputs.get("initial", []), batch, self.train["deep_supervision"], self.train["task_weights"], counts
        )
        total = losses["total"] * self.options.get("label_weight", 1.0)
        if "vib" in outputs:
            total = total + self.train["vib_weight"] * outputs["vib"].float()
            losses["vib"] = outputs["vib"].detach().float()
        if self.cached_maps or self.online_maps:
            term = self._maps_term(outputs, batch, taught)
            total = total + term
            losses["distillation"] = term.detach()
        if self.features and taught is not None and step % self.features["every"] == 0:
            groups = feature_losses(outputs, taught["features"])
            term = sum(groups.values())
            total = total + self.features["weight"] * term
            losses["features"] = term.detach()
            losses.update({f"features_{group}": loss.detach() for group, loss in groups.items()})
        return {**losses, "total": total}
