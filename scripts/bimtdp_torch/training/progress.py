# SPDX-License-Identifier: Apache-2.0
"""The bar on the terminal: steps, loss, photos a second, and the time left."""

from __future__ import annotations

import time
from typing import Mapping

from tqdm import tqdm

from .logs import RunLog
from .schedule import PhaseList

_SAY_EVERY = 100  # steps between lines that stay on the terminal


def format_seconds(seconds: float) -> str:
    """h:mm:ss or m:ss."""
    return tqdm.format_interval(max(0.0, seconds))


class Progress:
    """Time left is reckoned in pixels, for the phases' steps cost different times."""

    def __init__(self, name: str, schedule: PhaseList, step: int, shown: bool, seconds: float = 0.0):
        self.schedule, self.step, self.first, self._before = schedule, step, step, seconds
        self._started, self._photos = time.monotonic(), 0
        self._bar = tqdm(
            total=schedule.total,
            initial=step,
            desc=name,
            mininterval=2,
            dynamic_ncols=True,
            disable=not shown,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}",
        )
        self._loss = ""

    def advance(self, step: int) -> None:
        """After step number ``step``."""
        self._photos += self.schedule.phase(step - 1).batch
        self.step = step
        self._bar.set_postfix_str(
            f"{self._loss}{self.rate():.1f} photos/s, {format_seconds(self.seconds_left())} left", refresh=False
        )
        self._bar.update(1)

    def seconds(self) -> float:
        """Of training so far, with those (``seconds`` at the start) before it was resumed."""
        return self._before + time.monotonic() - self._started

    def rate(self) -> float:
        """Photos a second since the start, or since it was resumed."""
        return self._photos / max(1e-9, time.monotonic() - self._started)

    def seconds_left(self) -> float:
        """Of training; the end's statistics and validation come on top."""
        left = self.schedule.work_left(self.step)
        done = self.schedule.work_left(self.first) - left
        return left * (time.monotonic() - self._started) / max(1, done)

    def show(self, means: Mapping[str, float], flips: Mapping[str, float]) -> None:
        """Puts the loss on the bar; every hundredth step a line with all values."""
        self._loss = f"loss {means['total']:.3f}, "
        if self.step % _SAY_EVERY == 0 or self.step == self.schedule.total:
            rates = f" flip_rate {sum(flips.values()) / len(flips):.5f}" if flips else ""
            RunLog.say(
                f"step {self.step}/{self.schedule.total} "
                + " ".join(f"{key} {value:.4g}" for key, value in means.items() if key != "skipped")
                + f"{rates} {self.rate():.1f} photos/s, {format_seconds(self.seconds_left())} left"
            )

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()
