# SPDX-License-Identifier: Apache-2.0
"""Pretrains a backbone (binary or float) on any photos: it learns to predict the features of an ImageNet network.

The student's four maps go through one linear 1x1 convolution each, which is thrown away afterwards, to the block
outputs of an EfficientNet-Lite at the same strides, standardised per channel. Where the photos lie in one folder per
class, their class is learned too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints import read_checkpoint, save_checkpoint, save_weights
from ..configuration import dump_config
from ..data.photos import augmented_crop, load_photos
from ..data.samples import batch_indices, generator, normalise
from ..files import write_text
from ..networks.build import build_network
from ..networks.efficientnet_lite import EfficientNetLite, load_imagenet
from ..networks.pointwise import speed_up_pointwise
from .batch_norm import reset_spoilt_statistics
from .finiteness import FiniteSteps
from .flips import FlipMonitor
from .logs import RunLog, Window, plot_losses
from .losses import resize_map
from .precision import autocast, use_bf16
from .progress import Progress
from .randomness import seed_everything
from .schedule import Phase, PhaseList, learning_rate_factor
from .settings import REQUIRED, fill
from .signals import StopSignal, Stopped

DEFAULTS: Dict[str, Any] = {  # of the section ``train``
    "seed": 0,
    "steps": REQUIRED,
    "size": REQUIRED,
    "batch": REQUIRED,
    "lr": REQUIRED,
    "warmup": 100,
    "clip_norm": 10.0,
    "photo_size": 128,  # side to which photos are squeezed when they are read
    "teacher": "efficientnet_lite0",  # or lite1, lite2
    "teacher_size": None,  # side of the crops that the teacher sees, best near what it was trained at; null: size
    "class_weight": 0.3,
    "colour": 0.2,
    "amp": "auto",
    "log_every": 50,
    "save_every": 250,
}


def resolve(config: Mapping[str, Any], steps_scale: float = 1.0) -> Dict[str, Any]:
    """The configuration with all defaults; ``steps_scale`` multiplies the steps and the warm-up."""
    result = fill(config, {"name": "pretrain", "network": REQUIRED, "train": REQUIRED}, "configuration")
    train = result["train"] = fill(result["train"], DEFAULTS, "train")
    if steps_scale <= 0:
        raise ValueError(f"the scale of the steps must be positive, got {steps_scale}")
    train.update(steps=max(1, round(train["steps"] * steps_scale)), warmup=round(train["warmup"] * steps_scale))
    return result


def random_crops(photos: Tensor, seed: int, step: int, batch: int, size: int, colour: float) -> Tuple[Tensor, List[int]]:
    """Random crops of random photos, mirrored half of the time, (B, 3, size, size), and which photos they are of."""
    rng, indices = generator(seed, 2, step), batch_indices(seed, step, batch, len(photos))
    return normalise(torch.stack([augmented_crop(photos[index], rng, (size, size), colour) for index in indices])), indices


class FeatureStudent(nn.Module):
    """A backbone with what pretraining adds to it: a regressor a scale, standardised targets, perhaps a classifier."""

    def __init__(self, backbone: nn.Module, teacher: EfficientNetLite, classes: int):
        super().__init__()
        self.student = backbone
        targets = teacher.feature_channels
        self.regressors = nn.ModuleList(nn.Conv2d(c, t, 1) for c, t in zip(backbone.channels, targets))
        self.whiten = nn.ModuleList(nn.BatchNorm2d(t, affine=False) for t in targets)
        if classes > 1:
            self.classifier = nn.Linear(sum(backbone.channels), classes)

    def losses(self, image: Tensor, features: List[Tensor], labels: Tensor) -> Dict[str, Tensor]:
        """Mean squared error a scale, and the cross-entropy of the photos' classes where there are several."""
        maps = self.student(image)
        losses = {}
        for scale, (regress, whiten, own, feature) in enumerate(zip(self.regressors, self.whiten, maps, features)):
            with torch.no_grad():
                target = resize_map(whiten(feature.float()), tuple(own.shape[-2:]))
            losses[f"scale_{scale}"] = F.mse_loss(regress(own).float(), target)
        if hasattr(self, "classifier"):
            pooled = torch.cat([m.float().mean((2, 3)) for m in maps], 1)
            losses["class"] = F.cross_entropy(self.classifier(pooled).float(), labels)
        return losses


class BackbonePretrainer:
    """Runs a pretraining configuration; resumes from ``output/last.pt``, stops on a signal as the trainer does."""

    def __init__(self, config: Mapping[str, Any], photos: Path, output: Path, device: torch.device = torch.device("cpu")):
        self.config = resolve(config)
        self.train, self.output, self.device = self.config["train"], Path(output), device
        self.log = RunLog(self.output)
        self.seed = int(self.train["seed"])
        seed_everything(self.seed, self.device)
        self.bf16 = use_bf16(self.train["amp"], self.device)
        self.photos, self.labels, names = load_photos(photos, int(self.train["photo_size"]))
        layout = {"device": self.device, "memory_format": torch.channels_last}
        backbone = build_network(self.config["network"]).backbone
        self.teacher = EfficientNetLite(self.train["teacher"])
        load_imagenet(self.teacher)
        self.teacher.eval().requires_grad_(False).to(**layout)
        self.parts = FeatureStudent(backbone, self.teacher, len(names)).to(**layout)
        speed_up_pointwise(self.parts)
        self.optimizer = torch.optim.AdamW(self.parts.parameters(), lr=0.0, weight_decay=0.0)
        self.window, self.flips = Window(), FlipMonitor(self.parts.student)
        self.step, self.total = 0, int(self.train["steps"])
        self.finite = FiniteSteps()

    def student_view(self, crops: Tensor) -> Tensor:
        """The teacher's crops at the student's size."""
        size = (int(self.train["size"]),) * 2
        if tuple(crops.shape[2:]) == size:
            return crops
        return F.interpolate(crops, size, mode="bilinear", antialias=True).contiguous(memory_format=torch.channels_last)

    def train_step(self) -> Dict[str, Tensor]:
        """One optimizer step; detached losses."""
        factor = learning_rate_factor(self.step, self.total, self.train["warmup"])
        self.optimizer.param_groups[0]["lr"] = self.train["lr"] * factor
        crops, indices = random_crops(
            self.photos,
            self.seed,
            self.step,
            int(self.train["batch"]),
            int(self.train["teacher_size"] or self.train["size"]),
            self.train["colour"],
        )
        crops = crops.to(self.device, memory_format=torch.channels_last)
        with autocast(self.device, self.bf16):
            with torch.no_grad():
                features = self.teacher.raw_features(crops)
            losses = self.parts.losses(self.student_view(crops), features, self.labels[indices].to(self.device))
        total = sum(loss * (self.train["class_weight"] if name == "class" else 1.0) for name, loss in losses.items())
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.parts.parameters(), self.train["clip_norm"])
        self.step += 1
        losses["total"] = total
        if self.finite.good(self.step, losses, norm):
            self.optimizer.step()
        else:
            reset_spoilt_statistics(self.parts)
        return {**{key: value.detach() for key, value in losses.items()}, "gradient_norm": norm}

    def backbone(self) -> Dict[str, Tensor]:
        """The backbone with the names that it has in a network, so that ``init.checkpoint`` takes it."""
        return {f"backbone.{k}": v for k, v in self.parts.student.state_dict().items()}

    def save(self, name: str, state: bool) -> None:
        checkpoint = {"config": self.config, "model": self.backbone(), "step": self.step}
        if state:
            checkpoint.update(
                parts=self.parts.state_dict(),
                optimizer=self.optimizer.state_dict(),
                window=self.window.state(),
                flips=self.flips.state(),
                skipped_steps=self.finite.skipped,
            )
        save_checkpoint(checkpoint, self.output / name)

    def resume(self) -> None:
        """Continues from ``output/last.pt`` if it is there."""
        if (self.output / "last.pt").exists():
            state = read_checkpoint(self.output / "last.pt")
            self.parts.load_state_dict(state["parts"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.window.load(state["window"])
            self.flips.load(state["flips"])
            self.finite.skipped = state.get("skipped_steps", [])
            self.step = state["step"]
            self.log.say(f"resumed at step {self.step} of {self.total}")

    def run(self) -> None:
        """Trains to the end; raises ``Stopped`` after a signal, with last.pt saved."""
        with StopSignal() as stop:
            self.resume()
            self.parts.train()
            try:
                self._loop(stop)
            finally:
                self.log.close()
            self.save("final.pt", False)
            save_weights(self.backbone(), self.output / "backbone.safetensors")
            plot_losses(self.output)

    def _open_output(self, first: int) -> None:
        """Makes the folder once a step has worked: a run that is refused leaves none."""
        if not self.log.started:
            self.output.mkdir(parents=True, exist_ok=True)
            write_text(self.output / "config.yaml", dump_config(self.config))
            self.log.start(first, False)

    def _loop(self, stop: StopSignal) -> None:
        size, batch, first = int(self.train["size"]), int(self.train["batch"]), self.step
        phases = PhaseList([Phase(0, self.total, (size, size), batch)])
        progress = Progress(self.config["name"], phases, self.step, True)
        while self.step < self.total:
            values = self.train_step()
            self._open_output(first)
            self.window.add(values)
            progress.advance(self.step)
            if self.step % self.train["log_every"] == 0 or self.step == self.total:
                means, flips = self.window.means(), self.flips.rates()
                self.window.clear()
                self.log.training_row(self.step, {**means, "photos_per_second": round(progress.rate(), 2)}, flips)
                progress.show(means, flips)
            if self.step % self.train["save_every"] == 0 or self.step == self.total or stop.received:
                self.save("last.pt", True)
            if stop.received and self.step < self.total:
                progress.close()
                raise Stopped(stop.received)
        progress.close()
