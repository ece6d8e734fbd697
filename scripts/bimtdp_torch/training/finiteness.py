# SPDX-License-Identifier: Apache-2.0
"""A step whose loss or gradient is NaN or infinity is left out; a run that has several of them ends."""

from __future__ import annotations

from typing import List, Mapping, Optional

import torch
from torch import Tensor

from .parallel import Parallel

_IN_A_ROW = 5
_SOME, _RECENT = 20, 500  # so many of so many steps


class FiniteSteps:
    """Remembers which of the last steps were left out, the same ones in all processes."""

    def __init__(self, parallel: Optional[Parallel] = None):
        self._any = parallel.any if parallel else bool
        self._total = parallel.total if parallel else lambda x: x
        self.skipped: List[int] = []

    def good(self, step: int, losses: Mapping[str, Tensor], norm: Tensor) -> bool:
        """Whether step number ``step`` (from 1) has finite losses and a finite norm of its gradient. ValueError: too many
        have not."""
        values = torch.stack([norm.detach().float(), *(loss.detach().float() for loss in losses.values())])
        if not self._any(not bool(torch.isfinite(values).all())):
            return True
        self.skipped = [*(s for s in self.skipped if s > step - _RECENT), step]
        row = sum(1 for back, s in enumerate(reversed(self.skipped)) if s == step - back)
        if row >= _IN_A_ROW:
            self._end(step, losses, f"in {row} steps, one after another")
        if len(self.skipped) >= _SOME:
            self._end(step, losses, f"in {len(self.skipped)} of the last {_RECENT} steps")
        return False

    def _end(self, step: int, losses: Mapping[str, Tensor], how_often: str) -> None:
        names = sorted(losses)
        sums = self._total(torch.stack([losses[name].detach().float() for name in names]))
        bad = [f"{name} is {value:g}" for name, value in zip(names, sums.tolist()) if not torch.isfinite(torch.tensor(value))]
        parts = [text for text in bad if not text.startswith("total ")] or bad
        what = f"the loss {', the loss '.join(parts)}" if parts else "the gradient is not finite though the losses are"
        raise ValueError(f"step {step}: {what}; no finite step {how_often}. Lower train.lr, or set train.amp: off")
