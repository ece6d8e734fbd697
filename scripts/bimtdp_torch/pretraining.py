# SPDX-License-Identifier: Apache-2.0
"""Pretrains a binary backbone on any photos: it learns to predict the features of an ImageNet network.

The student's four maps go through one linear 1x1 convolution each, which is thrown away afterwards, to the block
outputs of EfficientNet-Lite0 at the same strides, standardised per channel. Where the photos lie in one folder per
class, their class is learned too.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from .config import build_network
from .data import batch_indices, generator, jitter_colour, normalise
from .efficientnet_lite import FEATURE_CHANNELS, EfficientNetLite0, load_imagenet
from .training.precision import use_bf16
from .training.schedule import learning_rate_factor

_SUFFIXES = (".jpg", ".jpeg", ".png")


def _photo_files(source: Path) -> Iterator[Tuple[str, Any]]:
    """(name of the folder, file) of every photo in a folder tree or a tar archive, in a fixed order."""
    if source.is_file():
        with tarfile.open(source) as archive:
            for member in sorted(archive.getmembers(), key=lambda m: m.name):
                if member.isfile() and member.name.lower().endswith(_SUFFIXES):
                    yield Path(member.name).parent.name, io.BytesIO(archive.extractfile(member).read())
    else:
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in _SUFFIXES:
                yield path.parent.name, path


def load_photos(source: Path, size: int) -> Tuple[Tensor, Tensor, List[str]]:
    """(N, 3, size, size) uint8, class index of each photo, class names; photos are squeezed to a square."""
    pixels, folders = [], []
    for folder, file in tqdm(_photo_files(Path(source)), desc="photos", mininterval=5):
        with Image.open(file) as image:
            image = image.convert("RGB")
            if image.size != (size, size):
                image = image.resize((size, size), Image.BILINEAR)
            pixels.append(np.asarray(image).transpose(2, 0, 1))
        folders.append(folder)
    if not pixels:
        raise FileNotFoundError(f"no photos in {source}")
    names = sorted(set(folders))
    return torch.from_numpy(np.stack(pixels)), torch.tensor([names.index(f) for f in folders]), names


class BackbonePretrainer:
    """Runs a pretraining configuration; resumes from ``output/last.pt``."""

    def __init__(self, config: Dict[str, Any], photos: Path, output: Path):
        self.config, self.train, self.output = config, config["train"], Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.seed = int(self.train.get("seed", 0))
        torch.manual_seed(self.seed)
        self.photos, self.labels, names = load_photos(photos, int(self.train.get("photo_size", 128)))
        self.student = build_network(config["network"]).backbone.to(memory_format=torch.channels_last)
        self.teacher = EfficientNetLite0()
        load_imagenet(self.teacher)
        self.teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        channels = self.student.channels
        self.regressors = nn.ModuleList(nn.Conv2d(c, t, 1) for c, t in zip(channels, FEATURE_CHANNELS))
        self.whiten = nn.ModuleList(nn.BatchNorm2d(t, affine=False) for t in FEATURE_CHANNELS)
        self.classifier = nn.Linear(sum(channels), len(names)) if len(names) > 1 else None
        self.parts = nn.ModuleDict({"student": self.student, "regressors": self.regressors, "whiten": self.whiten})
        if self.classifier is not None:
            self.parts["classifier"] = self.classifier
        self.optimizer = torch.optim.AdamW(self.parts.parameters(), lr=0.0, weight_decay=0.0)
        self.step, self.total = 0, int(self.train["steps"])
        self.bf16 = use_bf16(self.train.get("amp", "auto"), torch.device("cpu"))

    def batch(self, step: int) -> Tuple[Tensor, Tensor]:
        """Random crops of random photos, mirrored half of the time."""
        rng, size = generator(self.seed, 2, step), int(self.train["size"])
        indices = batch_indices(self.seed, step, int(self.train["batch"]), len(self.photos))
        crops = []
        for index in indices:
            u = torch.rand(4, generator=rng).tolist()
            side = round(self.photos.shape[-1] * (0.55 + 0.45 * u[0]))
            top, left = (int(u[k] * (self.photos.shape[-1] - side + 1)) for k in (1, 2))
            crop = self.photos[index:index + 1, :, top:top + side, left:left + side]
            crop = F.interpolate(crop.flip(3) if u[3] < 0.5 else crop, (size, size), mode="bilinear", antialias=True)
            crops.append(jitter_colour(crop[0].float() / 255, rng, self.train.get("colour", 0.2)))
        image = normalise(torch.stack(crops)).contiguous(memory_format=torch.channels_last)
        return image, self.labels[indices]

    def train_step(self) -> Dict[str, float]:
        factor = learning_rate_factor(self.step, self.total, int(self.train.get("warmup", 100)))
        self.optimizer.param_groups[0]["lr"] = self.train["lr"] * factor
        image, labels = self.batch(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            with torch.no_grad():
                targets = [bn(f.float()) for bn, f in zip(self.whiten, self.teacher.raw_features(image))]
            maps = self.student(image)
            predictions = [regress(m) for regress, m in zip(self.regressors, maps)]
        losses = {f"scale_{s}": F.mse_loss(p.float(), t) for s, (p, t) in enumerate(zip(predictions, targets))}
        total = sum(losses.values())
        if self.classifier is not None:
            pooled = torch.cat([m.float().mean((2, 3)) for m in maps], 1)
            losses["class"] = F.cross_entropy(self.classifier(pooled), labels)
            total = total + self.train.get("class_weight", 0.3) * losses["class"]
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.parts.parameters(), self.train.get("clip_norm", 10.0))
        self.optimizer.step()
        self.step += 1
        return {key: float(value.detach()) for key, value in losses.items()}

    def save(self, name: str, state: bool) -> None:
        backbone = {f"backbone.{k}": v for k, v in self.student.state_dict().items()}
        checkpoint = {"config": self.config, "model": backbone, "step": self.step}
        if state:
            checkpoint.update(parts=self.parts.state_dict(), optimizer=self.optimizer.state_dict())
        torch.save(checkpoint, self.output / "writing.tmp")
        os.replace(self.output / "writing.tmp", self.output / name)

    def resume(self) -> None:
        path = self.output / "last.pt"
        if path.exists():
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            self.parts.load_state_dict(checkpoint["parts"])
            self.optimizer.load_state_dict(checkpoint["optimizer"])
            self.step = checkpoint["step"]

    def run(self) -> None:
        self.resume()
        self.parts.train()
        self.teacher.eval()
        averages: Dict[str, float] = {}
        started, begun = time.time(), self.step
        for _ in tqdm(range(self.step, self.total), initial=self.step, total=self.total, desc=self.config["name"],
                      mininterval=5, dynamic_ncols=True):
            for key, value in self.train_step().items():
                averages[key] = 0.98 * averages.get(key, value) + 0.02 * value
            if self.step % 50 == 0:
                rate = (self.step - begun) * int(self.train["batch"]) / (time.time() - started)
                tqdm.write(time.strftime("%H:%M:%S ") + f"step {self.step}/{self.total} "
                           + " ".join(f"{k} {v:.3f}" for k, v in averages.items()) + f" {rate:.1f} photos/s")
                with open(self.output / "log.jsonl", "a") as file:
                    file.write(json.dumps({"step": self.step, "losses": averages}) + "\n")
            if self.step % 250 == 0:
                self.save("last.pt", True)
        self.save("final.pt", False)
