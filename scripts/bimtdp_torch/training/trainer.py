# SPDX-License-Identifier: Apache-2.0
"""The training loop.

A run is a function of its configuration and data: batches, augmentation and dropout depend on (seed, step) alone, and
last.pt holds everything else, so a run that was stopped or killed and resumed ends with the same weights and rows as
an unbroken one (CPU, same machine, threads and processes).
"""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..checkpoints import load_strictly, read_checkpoint, save_checkpoint
from ..configuration import changed_options
from ..export.model_file import is_model_file
from ..files import write_text
from ..networks.build import build_network
from ..networks.pointwise import speed_up_pointwise
from .averages import WeightAverage
from .batch_norm import freeze, measure_statistics, recalibrate, reset_spoilt_statistics
from .batches import Batches
from .distillation import cached_teacher_maps
from .finiteness import FiniteSteps
from .flips import FlipMonitor
from .initialisation import initialise
from .logs import RunLog, Window, plot_losses
from .losses import ValidCounts
from .objective import Objective
from .parallel import Parallel, synchronise
from .precision import autocast, use_bf16
from .progress import Progress
from .randomness import seed_everything, seed_step
from .schedule import Schedule, load_moments, make_optimizer, parameter_groups
from .settings import describe, resolve
from .signals import StopSignal, Stopped
from .validation import Validator


class Trainer:
    """Trains one configuration; ``run`` resumes from ``output/last.pt`` if there is one.

    The output folder is made when the first step has worked: a run that is refused leaves none.
    """

    def __init__(self, config: Mapping[str, Any], data: Path, output: Path, parallel: Optional[Parallel] = None):
        self.config = resolve(config)
        self.train, self.output = self.config["train"], Path(output)
        self.log = RunLog(self.output)
        self.parallel = parallel or Parallel()
        self.device, self.seed = self.parallel.device, int(self.train["seed"])
        self.bf16 = use_bf16(self.train["amp"], self.device)
        self.precision = "bf16" if self.bf16 else "float32"
        seed_everything(self.seed, self.device)
        self.network = build_network(self.config["network"])
        self.origins = initialise(self.network, self.config["init"], self._say)
        self.network.to(device=self.device, memory_format=torch.channels_last)
        speed_up_pointwise(self.network)
        self.frozen = freeze(self.network, self.train["freeze"])
        self.objective = Objective(self.config, self.device)
        self.model = self.parallel.wrap(self.network, self.train["sync_batch_norm"], self.objective.pre_relu)
        self.optimizer = make_optimizer(parameter_groups(self.network, self.train), self.train["optimizer"])
        self.schedule = Schedule(self.train, self.network, self.optimizer)
        tasks = list({**self.network.tasks, **self.network.auxiliary})
        self.batches = Batches(self.config, tasks, Path(data), self.schedule, self.parallel)
        if is_model_file(self.config["init"]["checkpoint"]) and not (self.output / "last.pt").exists():
            if not self.train["recalibration_batches"]:
                raise ValueError("train.recalibration_batches: 0 leaves a network from a model file without statistics")
            measure_statistics(self.network, self.batches.statistics())
        self.validator = Validator(
            self.network, self.batches.validation, self.schedule.phases[-1].size, self.bf16, self.train["best"], self.log
        )
        if not self.train["validation_every"]:
            self._say("no validation, and no best.pt: train.validation_every is 0")
        self.average = WeightAverage(self.network, self.train["ema"]) if self.train["ema"] > 0 else None
        self.flips, self.window = FlipMonitor(self.network), Window()
        self.finite = FiniteSteps(self.parallel)
        self.step, self.first, self.seconds = 0, 0, 0.0  # first: where this start of the run began

    def _say(self, text: str) -> None:
        if self.parallel.main:
            self.log.say(text)

    def save(self, path: Path, state: bool = True) -> None:
        """With ``state`` everything that resuming needs, without it the network as it stands."""
        checkpoint = {"config": self.config, "model": self.network.state_dict(), "step": self.step, "precision": self.precision}
        if state:
            checkpoint.update(
                optimizer=self.optimizer.state_dict(),
                best=self.validator.best,
                window=self.window.state(),
                flips=self.flips.state(),
                processes=self.parallel.world,
                skipped_steps=self.finite.skipped,
                seconds=self.seconds,
                average=self.average.average if self.average else None,
            )
        save_checkpoint(checkpoint, path)

    def resume(self) -> bool:
        """Continues from ``output/last.pt``; returns whether it was there."""
        if not (self.output / "last.pt").exists():
            return False
        state = read_checkpoint(self.output / "last.pt")
        for name, (old, new) in changed_options(state["config"], self.config).items():
            self._say(f"warning: {name} was {old!r} when last.pt was written and is {new!r} now")
        for name, here in (("processes", self.parallel.world), ("precision", self.precision)):
            if state[name] != here:
                self._say(f"warning: last.pt has {name} {state[name]}, this run {here}; the result will not be bit-equal")
        load_strictly(self.network, state["model"], self.output / "last.pt")
        try:
            load_moments(self.optimizer, state["optimizer"])
        except ValueError as error:
            raise ValueError(f"{self.output / 'last.pt'}: is of a run that trained other parts ({error})") from error
        if self.average and state["average"]:
            self.average.load(state["average"])
        self.window.load(state["window"])
        self.flips.load(state["flips"])
        self.validator.best = state["best"]
        self.finite.skipped = state.get("skipped_steps", [])
        self.step, self.seconds = state["step"], state["seconds"]
        self._say(f"resumed at step {self.step} of {self.schedule.total}")
        return True

    def training_mode(self) -> None:
        """Everything but frozen statistics."""
        self.network.train()
        for layer in self.frozen:
            layer.eval()

    # -- steps -----------------------------------------------------------------------------------------------------

    def _backward(self, piece: Dict[str, Tensor], index: int, counts: Optional[ValidCounts]) -> Dict[str, Tensor]:
        """Forward and backward of one accumulated piece; returns its detached losses."""
        count = self.train["accumulate"]
        seed_step(self.seed, self.step, self.parallel.rank * count + index)
        with self.parallel.collect_only(self.model, index == count - 1):
            with autocast(self.device, self.bf16):
                taught = self.objective.teach(piece.get("teacher_image", piece["image"]), self.step)
                outputs = self.model(piece["image"])
            losses = self.objective(outputs, piece, self.step, taught, counts)
            (losses["total"] / count).backward()
        return {key: value.detach() for key, value in losses.items()}

    def train_step(self) -> Dict[str, Tensor]:
        """One optimizer step; returns detached scalars of this process."""
        factor = self.schedule.apply(self.step)
        share = self.batches.share(self.step)
        pieces = self.batches.pieces(share)
        parts = len(pieces) * self.parallel.world
        counts = ValidCounts(share, parts, self.parallel.total) if parts > 1 else None
        self.optimizer.zero_grad(set_to_none=True)
        losses: Dict[str, Tensor] = {}
        for index, piece in enumerate(pieces):
            for key, value in self._backward(piece, index, counts).items():
                losses[key] = losses.get(key, 0) + value / len(pieces)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.train["clip_norm"])
        self.step += 1
        good = self.finite.good(self.step, losses, norm)
        if good:
            self.optimizer.step()
            if self.average:
                self.average.update(self.step)
        else:
            reset_spoilt_statistics(self.network)
        return {
            **losses,
            "gradient_norm": norm,
            "learning_rate": torch.tensor(factor * self.train["lr"]),
            "skipped": torch.tensor(float(not good)),
        }

    def _log_row(self, progress: Progress) -> None:
        """Means over the processes and the steps since the last row."""
        means = self.window.means()
        keys = [key for key in means if key not in ("gradient_norm", "learning_rate", "skipped")]
        values = torch.tensor([means[key] for key in keys], dtype=torch.float64, device=self.device)
        means.update(zip(keys, (self.parallel.total(values) / self.parallel.world).tolist()))
        self.window.clear()
        flips = self.flips.rates()
        if self.parallel.main:
            height, width = self.schedule.phase(self.step - 1).size
            pace = {"photos_per_second": round(progress.rate(), 2), "seconds": round(self.seconds, 1)}
            self.log.training_row(self.step, {**means, "height": height, "width": width, **pace}, flips)
            progress.show(means, flips)

    # -- the run ---------------------------------------------------------------------------------------------------

    def prepare_teacher(self, stop: StopSignal) -> None:
        """Loads or computes the cached maps of the teacher, where the configuration asks for them."""
        if not self.objective.cached_maps or self.batches.teacher is not None:
            return
        options = self.config["distillation"]
        size = tuple(options["size"] or self.schedule.phases[-1].size)

        def maps():
            return cached_teacher_maps(options, self.batches.frames, size, self.bf16, self.output, self.device, stop.check)

        for turn in (True, False):  # the others read what the main process computed
            if self.parallel.main == turn:
                self.batches.teacher = maps()
            self.parallel.barrier()

    def _validate(self, note: str) -> None:
        counts = self.schedule.binary(self.step - 1)  # a network whose weights are still real is not the one that is kept
        if self.validator.frames is not None and self.validator(self.step, note, counts):
            self.save(self.output / "best.pt", state=False)
        self.training_mode()

    def validate(self) -> None:
        """Scores the averaged weights, or the current ones where there are none; the best are kept as best.pt."""
        if self.parallel.main:
            with self.average.applied() if self.average else contextlib.nullcontext():
                self._validate("average" if self.average else "current")
        self.parallel.barrier()

    def finish(self) -> None:
        """Exact statistics, final validation, and ``final.pt`` with the network alone."""
        self._open_output()
        if self.parallel.main:
            synchronise(self.network, False)
            if self.average:
                self.average.swap()
            if self.train["recalibration_batches"]:
                batches = tqdm(
                    self.batches.statistics(),
                    desc="statistics",
                    mininterval=5,
                    dynamic_ncols=True,
                    total=self.train["recalibration_batches"],
                )
                recalibrate(self.network, batches, self.frozen)
            self._validate("final")
            self.save(self.output / "final.pt", state=False)
            plot_losses(self.output)
        self.parallel.barrier()

    def run(self, stop_after: Optional[int] = None) -> None:
        """Trains to the end, or to step ``stop_after`` (for tests). Raises ``Stopped`` after a signal."""
        with StopSignal() as stop:
            self.resume()
            try:
                if self.step >= self.schedule.total and (self.output / "final.pt").exists():
                    self._say(f"finished already: {self.output / 'final.pt'}")
                    return
                self.prepare_teacher(stop)
                self.first = self.step
                self.training_mode()
                self._loop(stop, min(self.schedule.total, stop_after or self.schedule.total))
                if self.step >= self.schedule.total:
                    self.finish()
            finally:
                self.batches.close()
                self.log.close()

    def _open_output(self) -> None:
        """Makes the folder with what is known from the start; again: nothing."""
        if self.parallel.main and not self.log.started:
            self.output.mkdir(parents=True, exist_ok=True)
            write_text(self.output / "config.yaml", describe(self.config))
            if self.origins:
                write_text(self.output / "init.tsv", "".join(f"{key}\t{note}\n" for key, note in self.origins.items()))
            self.log.start(self.first, self.first >= self.schedule.total)

    def _loop(self, stop: StopSignal, last: int) -> None:
        progress = Progress(self.config["name"], self.schedule, self.step, self.parallel.main, self.seconds)
        while self.step < last:
            values = self.train_step()
            self._open_output()
            self.window.add(values)
            progress.advance(self.step)
            self.seconds = progress.seconds()
            stopping = self.parallel.any(stop.received is not None)
            if self.step % self.train["log_every"] == 0 or self.step == self.schedule.total:
                self._log_row(progress)
            if self.step % self.train["validate_every"] == 0 and self.step < self.schedule.total:
                self.validate()
            if self.step % self.train["save_every"] == 0 or self.step == last or stopping:
                if self.parallel.main:
                    self.save(self.output / "last.pt")
            if stopping:
                progress.close()
                self.parallel.barrier()
                raise Stopped(stop.received or signal.SIGTERM)  # this process, or another one was asked to stop
        progress.close()
