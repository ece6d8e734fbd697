# SPDX-License-Identifier: Apache-2.0
"""The run's data: training batches as a function of the step, validation frames, inputs for the final statistics."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.datasets import AnyFrames, check_known, class_names, load_parts, make_batch, split_list
from ..data.nyud import TeacherMaps
from ..data.photos import load_photos, unlabelled_batch
from .distillation import online_size
from .parallel import Parallel
from .schedule import Schedule

_STATISTICS_BATCH = 16


class Batches:
    """Gives each process its part of a step's batch, on its device; a GPU's next batches are made meanwhile."""

    def __init__(self, config: Mapping[str, Any], tasks: Sequence[str], data: Path, schedule: Schedule, parallel: Parallel):
        train, dataset = config["train"], config["network"]["dataset"]
        classes = len(class_names(dataset))
        if "semseg" in tasks and config["network"].get("segmentation_classes", classes) < classes:
            raise ValueError(f"network.segmentation_classes: labels of {dataset} have {classes} classes")
        self.train, self.schedule, self.parallel = train, schedule, parallel
        lists = [ids for ids in split_list(dataset, data, int(train["validation_every"])) if ids]
        parts = load_parts(dataset, data, lists if parallel.main else lists[:1], tasks)  # the main process validates
        for frames in parts:
            check_known(frames, tasks)
        self.frames: AnyFrames = parts[0]
        self.validation: Optional[AnyFrames] = parts[1] if len(parts) > 1 else None
        self.teacher: Optional[TeacherMaps] = None
        options = config.get("distillation") or {"photos_share": 0.0}
        self.teacher_size = online_size(config)
        self.share_of_photos = options["photos_share"]
        self.photos = load_photos(Path(options["photos"]), options["photo_size"]) if self.share_of_photos > 0 else None
        for phase in schedule.phases:
            for count in self._counts(phase.batch):
                parallel.part(count, train["accumulate"])  # complains before the first step
        self._pool = ThreadPoolExecutor(4) if parallel.device.type == "cuda" else None
        self._pending: Dict[int, Future] = {}

    def _counts(self, batch: int) -> Tuple[int, int]:
        """Labelled and unlabelled photos of a batch."""
        unlabelled = min(round(batch * self.share_of_photos), batch - 1)
        return batch - unlabelled, unlabelled

    def _make(self, step: int) -> Dict[str, Tensor]:
        phase, seed, colour = self.schedule.phase(step), int(self.train["seed"]), self.train["colour"]
        labelled, unlabelled = self._counts(phase.batch)
        batch = make_batch(
            self.frames,
            seed,
            step,
            labelled,
            phase.size,
            self.train["max_zoom"],
            colour,
            self.teacher,
            self.parallel.part(labelled, self.train["accumulate"]),
            self.teacher_size,
        )
        if unlabelled:
            more = unlabelled_batch(
                self.photos,
                seed,
                step,
                unlabelled,
                self.teacher_size or phase.size,
                colour,
                self.parallel.part(unlabelled, self.train["accumulate"]),
                batch,
            )
            batch = {key: self._mix(value, more[key]) for key, value in batch.items()}
        if self.teacher_size:
            batch["teacher_image"] = batch["image"]
            smaller = F.interpolate(batch["image"], phase.size, mode="bilinear", antialias=True)
            batch["image"] = smaller.contiguous(memory_format=torch.channels_last)
        return batch

    def _mix(self, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        """Both one after another in every accumulated piece, so that all pieces have the same mixture."""
        count = self.train["accumulate"]
        return torch.cat([part for pair in zip(labelled.chunk(count), unlabelled.chunk(count)) for part in pair])

    def share(self, step: int) -> Dict[str, Tensor]:
        """This process's part of the batch of ``step``."""
        if self._pool is None:
            return self._make(step)
        for ahead in range(step, min(step + 5, self.schedule.total)):
            if ahead not in self._pending:
                self._pending[ahead] = self._pool.submit(self._make, ahead)
        batch = self._pending.pop(step).result()
        return {key: value.to(self.parallel.device, non_blocking=True) for key, value in batch.items()}

    def pieces(self, share: Mapping[str, Tensor]) -> List[Dict[str, Tensor]]:
        """The share cut into the pieces of gradient accumulation."""
        count = self.train["accumulate"]
        if count == 1:
            return [dict(share)]
        cut = {key: value.chunk(count) for key, value in share.items()}
        return [{key: values[n] for key, values in cut.items()} for n in range(count)]

    def statistics(self) -> Iterator[Tensor]:
        """Inputs for the final statistics of batch normalisation: mildly zoomed, without changes of colour."""
        size = self.schedule.phases[-1].size
        for n in range(int(self.train["recalibration_batches"])):
            yield make_batch(
                self.frames, int(self.train["seed"]) + 1, n, _STATISTICS_BATCH, size, self.train["recalibration_zoom"], 0.0
            )["image"].to(self.parallel.device)

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
