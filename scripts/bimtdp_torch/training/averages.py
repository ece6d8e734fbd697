# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of a network's weights and statistics."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """w <- decay * w + (1 - decay) * current, for every floating tensor of the state_dict.

    Early on the decay is (1 + n) / (10 + n) after n updates, so that the random start is forgotten.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay, self.network = decay, network
        self.average = {k: v.detach().clone() for k, v in self._tensors().items()}

    def _tensors(self) -> Dict[str, Tensor]:
        return {k: v for k, v in self.network.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimizer step number ``step`` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = self._tensors()
        torch._foreach_lerp_([self.average[k] for k in current], list(current.values()), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the network's values and the averages."""
        for key, value in self._tensors().items():
            kept = value.clone()
            value.copy_(self.average[key])
            self.average[key] = kept

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The network has the averaged weights inside this context."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def load(self, average: Dict[str, Tensor]) -> None:
        """Continues from a saved average."""
        for key, value in average.items():
            self.average[key].copy_(value)
