# SPDX-License-Identifier: Apache-2.0
"""The training loop: schedule, distillation, validation, checkpoints that resume exactly, final statistics.

A run is a function of its configuration and data: batches, augmentation and dropout depend on (seed, step) alone,
so a run that was killed and resumed ends with the same weights as an unbroken one (same machine, same threads).
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from .config import build_network, load_checkpoint
from .data import Frames, TeacherMaps, load_frames, make_batch, normalise, read_list, split_validation
from .efficientnet_lite import EfficientNetLite0, load_imagenet
from .evaluation import format_metrics, score, torch_predictor
from .losses import TASK_WEIGHTS, distillation_loss, supervised_loss


class Phase(NamedTuple):
    """A stretch of training at one input size."""

    first: int
    steps: int
    size: Tuple[int, int]
    batch: int


def read_phases(config: Mapping[str, Any]) -> List[Phase]:
    """``train.phases``: list of {size: [H, W], batch, steps}."""
    phases, first = [], 0
    for entry in config["train"]["phases"]:
        phases.append(Phase(first, int(entry["steps"]), tuple(entry["size"]), int(entry["batch"])))
        first += phases[-1].steps
    return phases


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices natively (else bf16 only costs)."""
    probe = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AVX512" in probe and ("avx512_bf16" in flags or "amx_bf16" in flags)


def parameter_groups(network: nn.Module, train: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Backbone and rest with their learning rates; weight decay on convolution and linear weights only."""
    groups: Dict[Tuple[bool, bool], List[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        backbone = name.startswith("backbone.") and ".projections." not in name
        groups.setdefault((backbone, parameter.dim() > 1), []).append(parameter)
    return [{"params": parameters, "base_lr": train.get("backbone_lr", train["lr"]) if backbone else train["lr"],
             "weight_decay": train.get("weight_decay", 0.0) if decay else 0.0}
            for (backbone, decay), parameters in groups.items()]


def make_optimizer(groups: List[Dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW in one pass over each tensor where PyTorch has that for the CPU (from 2.4 on)."""
    try:
        return torch.optim.AdamW(groups, lr=0.0, fused=True)
    except (RuntimeError, TypeError):
        return torch.optim.AdamW(groups, lr=0.0, foreach=True)


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """Linear warm-up, then a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def freeze(network: nn.Module, prefixes: Sequence[str]) -> List[nn.Module]:
    """Excludes the modules of these names from training; returns their batch normalisations."""
    frozen = [module for name, module in network.named_modules() if name in prefixes]
    if len(frozen) != len(prefixes):
        raise ValueError(f"train.freeze: not all of {list(prefixes)} exist")
    for module in frozen:
        module.requires_grad_(False)
    return [m for module in frozen for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def initialise(network: nn.Module, config: Mapping[str, Any]) -> str:
    """Applies the ``init`` section: ImageNet weights, then whatever fits of a checkpoint (or of its backbone)."""
    init = config.get("init", {})
    notes = []
    if init.get("imagenet") and isinstance(network.backbone, EfficientNetLite0):
        load_imagenet(network.backbone)
        notes.append("ImageNet backbone")
    if init.get("checkpoint"):
        source = torch.load(init["checkpoint"], map_location="cpu", weights_only=True)["model"]
        own = network.state_dict()
        fitting = {k: v for k, v in source.items() if k in own and own[k].shape == v.shape}
        network.load_state_dict(fitting, strict=False)
        notes.append(f"{len(fitting)} of {len(own)} tensors from {Path(init['checkpoint']).name}")
    return ", ".join(notes) or "fresh weights"


@torch.no_grad()
def compute_teacher_maps(teacher: nn.Module, frames: Frames, size: Tuple[int, int], bf16: bool) -> TeacherMaps:
    """Quarter-size outputs of the teacher for every frame and its mirror image."""
    collected: Dict[str, List[Tensor]] = {}
    for index in tqdm(range(len(frames.ids)), desc="teacher", mininterval=5, dynamic_ncols=True):
        photo = F.interpolate(frames.image[index:index + 1], size, mode="bilinear", antialias=True).float() / 255
        pair = normalise(torch.cat((photo, photo.flip(3)))).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            maps = teacher.head_maps(teacher.decode(teacher.backbone(pair)))
        for task, value in maps.items():
            collected.setdefault(task, []).append(value.to(torch.float16))
    return TeacherMaps({task: torch.stack(values) for task, values in collected.items()})


@torch.no_grad()
def recalibrate(network: nn.Module, batches, frozen: Sequence[nn.Module] = ()) -> None:
    """Replaces the running statistics of batch normalisation by exact averages over ``batches`` of inputs."""
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m not in set(frozen)]
    momenta = [m.momentum for m in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
        layer.train()
    for image in batches:
        network(image)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    network.eval()


class Trainer:
    """Trains one configuration; ``run`` resumes from the newest checkpoint in ``output`` if there is one."""

    def __init__(self, config: Dict[str, Any], data: Path, output: Path):
        self.config, self.train = config, config["train"]
        self.data, self.output = Path(data), Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.seed = int(self.train.get("seed", 0))
        self.phases = read_phases(config)
        self.total = self.phases[-1].first + self.phases[-1].steps
        self.task_weights = self.train.get("task_weights", TASK_WEIGHTS)
        bf16 = self.train.get("bf16", "auto")
        self.bf16 = cpu_has_bf16() if bf16 == "auto" else bool(bf16)
        torch.manual_seed(self.seed)
        self.network = build_network(config["network"]).to(memory_format=torch.channels_last)
        self.log(f"initialised: {initialise(self.network, config)}; bf16 {'on' if self.bf16 else 'off'}")
        self.frozen = freeze(self.network, self.train.get("freeze", []))
        self.optimizer = make_optimizer(parameter_groups(self.network, self.train))
        self.step = 0
        ids, validation = split_validation(read_list(self.data, "train"), int(self.train.get("validation_every", 20)))
        self.frames = load_frames(self.data, ids)
        self.validation = load_frames(self.data, validation) if validation else None
        self.teacher: Optional[TeacherMaps] = None

    # -- records ---------------------------------------------------------------------------------------------------

    def log(self, text: str) -> None:
        tqdm.write(time.strftime("%H:%M:%S ") + text)

    def record(self, entry: Dict[str, Any]) -> None:
        with open(self.output / "log.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self, path: Path, state: bool = True) -> None:
        """Writes atomically; with ``state`` everything that resuming needs, without it the network alone."""
        checkpoint = {"config": self.config, "model": self.network.state_dict(), "step": self.step}
        if state:
            checkpoint["optimizer"] = self.optimizer.state_dict()
        temporary = path.with_suffix(".tmp")
        torch.save(checkpoint, temporary)
        os.replace(temporary, path)

    def resume(self) -> bool:
        """Continues from ``output/last.pt``; returns whether it was there."""
        path = self.output / "last.pt"
        if not path.exists():
            return False
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.step = checkpoint["step"]
        log = self.output / "log.jsonl"
        if log.exists():  # steps after the checkpoint are run again
            kept = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= self.step]
            log.write_text("".join(line + "\n" for line in kept))
        self.log(f"resumed at step {self.step} of {self.total}")
        return True

    def training_mode(self) -> None:
        self.network.train()
        for layer in self.frozen:
            layer.eval()

    # -- steps -----------------------------------------------------------------------------------------------------

    def phase(self, step: int) -> Phase:
        return next(p for p in reversed(self.phases) if step >= p.first)

    def batch(self, step: int) -> Dict[str, Tensor]:
        phase = self.phase(step)
        return make_batch(self.frames, self.seed, step, phase.batch, phase.size, self.train.get("max_zoom", 1.7),
                          self.train.get("colour", 0.3), self.teacher)

    def losses(self, batch: Mapping[str, Tensor]) -> Dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            outputs = self.network.training_outputs(batch["image"])
        losses = supervised_loss(outputs["maps"], outputs["initial"], batch, self.train.get("deep_supervision", 1.0),
                                 self.task_weights)
        if self.teacher is not None:
            options = self.config["distillation"]
            distilled = options.get("weight", 1.0) * distillation_loss(
                outputs["maps"], batch, options.get("temperature", 2.0), self.task_weights)
            losses["total"] = options.get("label_weight", 1.0) * losses["total"] + distilled
            losses["distillation"] = distilled.detach()
        return losses

    def train_step(self) -> Dict[str, float]:
        torch.manual_seed(self.seed * 1_000_003 + self.step)  # dropout
        factor = learning_rate_factor(self.step, self.total, int(self.train.get("warmup", 200)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        losses = self.losses(self.batch(self.step))
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.train.get("clip_norm", 10.0))
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        return {**{k: float(v.detach()) for k, v in losses.items()}, "gradient_norm": float(norm)}

    # -- the run ---------------------------------------------------------------------------------------------------

    def prepare_teacher(self) -> None:
        options = self.config.get("distillation")
        if not options or self.teacher is not None:
            return
        cache = self.output / "teacher_maps.pt"  # a resumed run must see the same maps
        if not cache.exists():
            _, teacher = load_checkpoint(options["teacher"])
            size = tuple(options.get("size", self.phases[-1].size))
            maps = compute_teacher_maps(teacher.to(memory_format=torch.channels_last), self.frames, size, self.bf16)
            torch.save(maps.maps, cache.with_suffix(".tmp"))
            os.replace(cache.with_suffix(".tmp"), cache)
        self.teacher = TeacherMaps(torch.load(cache, map_location="cpu", weights_only=True))

    def validate(self) -> Dict[str, float]:
        self.network.eval()
        metrics = score(self.validation, torch_predictor(self.network, bf16=self.bf16), self.phases[-1].size)
        self.training_mode()
        self.log(f"step {self.step}: validation {format_metrics(metrics)}")
        self.record({"step": self.step, "validation": metrics})
        return metrics

    def finish(self) -> None:
        """Exact statistics, final validation, and ``final.pt`` with the network alone."""
        phase = self.phases[-1]
        count = int(self.train.get("recalibration_batches", 40))

        def images():
            for n in tqdm(range(count), desc="statistics", mininterval=5, dynamic_ncols=True):
                yield make_batch(self.frames, self.seed + 1, n, 16, phase.size,
                                 self.train.get("recalibration_zoom", 1.3), 0.0)["image"]

        recalibrate(self.network, images(), self.frozen)
        self.save(self.output / "final.pt", state=False)
        if self.validation is not None:
            self.validate()

    def run(self, stop_after: Optional[int] = None) -> None:
        """Trains to the end, or to step ``stop_after`` (for tests)."""
        self.resume()
        self.prepare_teacher()
        self.training_mode()
        last = min(self.total, stop_after or self.total)
        every_save, every_check = int(self.train.get("save_every", 200)), int(self.train.get("validate_every", 500))
        averages: Dict[str, float] = {}
        bar = tqdm(total=self.total, initial=self.step, desc=self.config.get("name", "train"), mininterval=2,
                   dynamic_ncols=True)
        started, photos = time.time(), 0
        while self.step < last:
            photos += self.phase(self.step).batch
            values = self.train_step()
            bar.update(1)
            for key, value in values.items():
                averages[key] = value if key not in averages else 0.98 * averages[key] + 0.02 * value
            if self.step % 20 == 0 or self.step == last:
                rate = photos / (time.time() - started)
                bar.set_postfix_str(f"loss {averages['total']:.3f}, {rate:.1f} photos/s", refresh=False)
                self.record({"step": self.step, "losses": values, "photos_per_second": rate})
            if self.step % 100 == 0:
                self.log(f"step {self.step}/{self.total} " + " ".join(f"{k} {v:.3f}" for k, v in averages.items())
                         + f" {photos / (time.time() - started):.1f} photos/s")
            if self.step % every_save == 0 or self.step == last:
                self.save(self.output / "last.pt")
            if self.validation is not None and self.step % every_check == 0 and self.step < self.total:
                self.validate()
        bar.close()
        if self.step >= self.total:
            self.finish()
            plot_losses(self.output)


def plot_losses(output: Path) -> None:
    """``losses.png`` from ``log.jsonl``, if matplotlib is there."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return
    entries = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    training = [e for e in entries if "losses" in e]
    validation = [e for e in entries if "validation" in e]
    if not training:
        return
    names = [n for n in training[0]["losses"] if n != "gradient_norm"]
    checks = list(validation[0]["validation"]) if validation else []
    count = len(names) + len(checks)
    figure, axes = pyplot.subplots((count + 3) // 4, 4, figsize=(16, 3 * ((count + 3) // 4)), squeeze=False)
    for axis, name in zip(axes.flat, names):
        axis.plot([e["step"] for e in training], [e["losses"][name] for e in training], linewidth=0.7)
        axis.set_title(f"{name} (training)")
    for axis, name in zip(list(axes.flat)[len(names):], checks):
        axis.plot([e["step"] for e in validation], [e["validation"][name] for e in validation], marker=".")
        axis.set_title(f"{name} (validation)")
    figure.tight_layout()
    figure.savefig(output / "losses.png", dpi=80)
    pyplot.close(figure)
