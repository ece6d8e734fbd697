# SPDX-License-Identifier: Apache-2.0
"""Variational information bottleneck behind the shared backbone (Bi-MTDP eq. (4)).

    L_vib = KL[p(Z | A) || N(0, I)],  p = N(mu(A), diag exp(logvar(A)))  per pixel

In training z = mu + exp(logvar / 2) * noise; at inference z = mu, and the branch of logvar is dead.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .style import BinaryStyle

MU_KINDS = ("float", "binary_input", "binary")
_LOGVAR_LIMIT = 10.0
_LOGVAR_START = -4.0


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL[N(mu, exp(logvar)) || N(0, I)] of (B, C, H, W): summed over channels, mean over batch and pixels, float32."""
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1).sum(1).mean()


def sample(mu: Tensor, logvar: Tensor) -> Tensor:
    """mu + exp(logvar / 2) * noise."""
    return mu + (0.5 * logvar).exp() * torch.randn_like(mu)


class VariationalBottleneck(nn.Module):
    """Bottleneck of one scale. ``kind`` of the 1x1 convolution that gives mu:

    float (of the real, pre-sign map), binary_input (float weights, signs in), binary (binary weights, BN behind).

    It starts as nearly nothing: the float mu is the identity and the noise has a standard deviation of 0.14, so a
    network that is initialised from one without bottleneck starts from the same function.
    """

    def __init__(self, channels: int, kind: str = "float", style: Optional[BinaryStyle] = None):
        super().__init__()
        style = style or BinaryStyle()
        self.binarize = nn.Identity() if kind == "float" else style.binarize(channels, "bn_sign")
        self.mu = (
            nn.Sequential(style.conv(channels, channels, 1), nn.BatchNorm2d(channels))
            if kind == "binary"
            else nn.Conv2d(channels, channels, 1)
        )
        self.logvar = nn.Conv2d(channels, channels, 1)
        if kind != "binary":
            nn.init.dirac_(self.mu.weight)
            nn.init.zeros_(self.mu.bias)
        nn.init.zeros_(self.logvar.weight)
        nn.init.constant_(self.logvar.bias, _LOGVAR_START)

    def distribution(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """mu and logvar, (B, C, H, W) each."""
        x = self.binarize(x)
        return self.mu(x), self.logvar(x).clamp(-_LOGVAR_LIMIT, _LOGVAR_LIMIT)

    def forward(self, x: Tensor) -> Tensor:
        """z: sampled in training mode, mu in evaluation mode."""
        if not self.training:
            return self.mu(self.binarize(x))
        return sample(*self.distribution(x))


class Bottlenecks(nn.ModuleList):
    """One bottleneck a scale: list of maps -> list of maps."""

    def __init__(self, channels: Sequence[int], kind: str, style: Optional[BinaryStyle]):
        super().__init__(VariationalBottleneck(c, kind, style) for c in channels)

    def forward(self, maps: List[Tensor]) -> List[Tensor]:
        return [bottleneck(x) for bottleneck, x in zip(self, maps)]

    def with_divergence(self, maps: List[Tensor]) -> Tuple[List[Tensor], List[Tensor], Tensor]:
        """(z, mu, KL averaged over the scales); z is sampled in training mode and mu in evaluation mode."""
        samples, means, divergences = [], [], []
        for bottleneck, x in zip(self, maps):
            mu, logvar = bottleneck.distribution(x)
            means.append(mu)
            samples.append(sample(mu, logvar) if self.training else mu)
            divergences.append(gaussian_kl(mu, logvar))
        return samples, means, torch.stack(divergences).mean()
