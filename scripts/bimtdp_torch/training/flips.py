# SPDX-License-Identifier: Apache-2.0
"""How many binary weights change their sign: a layer whose rate is 0 for long has stalled."""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.layers import BinaryConv2d


class FlipMonitor:
    """Remembers the signs of all latent weights, one bit each."""

    def __init__(self, network: nn.Module):
        self._layers = {name: m for name, m in network.named_modules() if isinstance(m, BinaryConv2d)}
        self._signs = self._read()

    @torch.no_grad()
    def _read(self) -> Dict[str, Tensor]:
        return {
            name: torch.from_numpy(np.packbits((m.binary_weight() > 0).flatten().cpu().numpy())) for name, m in self._layers.items()
        }

    def rates(self) -> Dict[str, float]:
        """Layer -> share of its weights whose sign differs from that at the last call."""
        now = self._read()
        rates = {
            name: float(np.unpackbits(np.bitwise_xor(now[name].numpy(), self._signs[name].numpy())).sum()) / layer.weight.numel()
            for name, layer in self._layers.items()
        }
        self._signs = now
        return rates

    def state(self) -> Dict[str, Tensor]:
        """What a resumed run needs."""
        return self._signs

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continues from a saved state."""
        self._signs = dict(state)
