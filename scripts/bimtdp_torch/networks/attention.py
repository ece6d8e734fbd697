# SPDX-License-Identifier: Apache-2.0
"""Multi-modal distillation between tasks at one scale: MTI-Net's float form and the binarized attention of Bi-MTDP.

Binarized attention (Bi-MTDP, eqs. (2) and (3)), for target task k and source tasks t in auxiliary order:

    A^k   = bool(W^k * B^k)                                gate in {0, 1}, bool(x) = 1[x >= 0]
    M^k   = sum over t != k of  W_t * B^t                  messages, scaled by a batch normalisation or mean|W|
    F^o,k = sign(B^k + A^k . M^k)                          with B^t = sign(F^t)
"""

from __future__ import annotations

from typing import Dict, Sequence

from torch import Tensor, nn

from .estimators import Sign, make_binarizer
from .layers import BinaryConv2d


def _conv3x3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


class SelfAttention(nn.Module):
    """sigmoid(conv(x)) * conv(x): one message of MTI-Net, gated from its source."""

    def __init__(self, channels: int):
        super().__init__()
        self.attention = nn.Sequential(_conv3x3(channels), nn.Sigmoid())
        self.conv = _conv3x3(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x) * self.conv(x)


class MultiModalDistillation(nn.Module):
    """MTI-Net's distillation: every target adds a gated message of every other auxiliary task."""

    def __init__(self, tasks: Sequence[str], auxiliary: Sequence[str], channels: int):
        super().__init__()
        self.tasks, self.auxiliary = tuple(tasks), tuple(auxiliary)
        self.self_attention = nn.ModuleDict(
            {
                target: nn.ModuleDict({source: SelfAttention(channels) for source in auxiliary if source != target})
                for target in tasks
            }
        )

    def sums(self, features: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Target -> (B, C, H, W)."""
        result = {}
        for target in self.tasks:
            messages = None
            for source in self.auxiliary:
                if source == target:
                    continue
                message = self.self_attention[target][source](features[source])
                messages = message if messages is None else messages + message
            result[target] = features[target] if messages is None else features[target] + messages
        return result

    def outer_sign(self, total: Tensor) -> Tensor:
        """There is none in the float network."""
        return total

    def forward(self, features: Dict[str, Tensor]) -> Dict[str, Tensor]:
        return self.sums(features)


class Gate(nn.Module):
    """bool(x) = 1[x >= 0] as a 0/1 tensor; the gradient is half that of the sign."""

    def __init__(self, estimator: str = "bireal"):
        super().__init__()
        self.sign = Sign(estimator)

    def forward(self, x: Tensor) -> Tensor:
        return self.sign(x) * 0.5 + 0.5


def _normalised_conv(channels: int, batch_norm: bool, scale: str, **options) -> nn.Sequential:
    # Behind a batch normalisation a positive factor per channel changes nothing, so it is left out there.
    conv = BinaryConv2d(
        channels, channels, 3, padding=1, scaled=scale != "none" and not batch_norm, power_of_two=scale == "power_of_two", **options
    )
    return nn.Sequential(conv, nn.BatchNorm2d(channels)) if batch_norm else nn.Sequential(conv)


class BinaryAttention(nn.Module):
    """Binarized multi-modal distillation of one scale, all tasks at once.

    features: task -> (B, C, H, W) real tensors for every auxiliary task. Returns target task -> (B, C, H, W),
    +-1 when ``outer_sign`` is on.

    gate_source:      ``target`` (eq. (2): one gate per target, applied to the sum of its messages) or ``source``
                      (MTI-Net's topology: every message has its own gate).
    message_weights:  ``per_source`` (eq. (3): one convolution per source, used for all targets) or ``pairwise``.
                      With ``source`` gates the gates follow the same choice.
    input_binarizer:  ``bn_sign``, ``rsign`` or ``sign``.
    gate_batch_norm, message_batch_norm: normalise the integer convolutions before threshold and sum.
    message_scale:    ``xnor`` (mean|W|), ``power_of_two`` (IR-Net) or ``none``, where messages have no batch
                      normalisation.
    identity:         ``binary`` (eq. (3)) or ``real`` (the feature before its sign).
    outer_sign:       sign of the sum (eq. (3)) or the real sum.
    estimator, weight_estimator, standardise: as in BinaryStyle.
    binary_sources:   sources that arrive as +-1 from an earlier attention and need no binarizer.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        auxiliary: Sequence[str],
        channels: int,
        *,
        gate_source: str = "target",
        message_weights: str = "per_source",
        input_binarizer: str = "bn_sign",
        gate_batch_norm: bool = True,
        message_batch_norm: bool = True,
        message_scale: str = "xnor",
        identity: str = "binary",
        outer_sign: bool = True,
        estimator: str = "bireal",
        weight_estimator: str = "clip",
        standardise: bool = False,
        binary_sources: Sequence[str] = (),
    ):
        super().__init__()
        for name, value, allowed in (
            ("gate_source", gate_source, ("target", "source")),
            ("message_weights", message_weights, ("per_source", "pairwise")),
            ("message_scale", message_scale, ("xnor", "power_of_two", "none")),
            ("identity", identity, ("binary", "real")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
        self.tasks, self.auxiliary = tuple(tasks), tuple(auxiliary)
        self.gate_source, self.message_weights, self.identity = gate_source, message_weights, identity
        # No sign for what is binary: its gradient at +-1 is 0 with Bi-Real's estimator.
        self.binarizers = nn.ModuleDict(
            {t: nn.Identity() if t in binary_sources else make_binarizer(input_binarizer, channels, estimator) for t in auxiliary}
        )
        self.gate = Gate(estimator)
        # Keys: a target (target gates), a source (per-source), or "target_from_source" (pairwise).
        gate_keys = self.tasks if gate_source == "target" else self._message_keys()
        options = {"estimator": weight_estimator, "standardise": standardise}
        self.gates = nn.ModuleDict({key: _normalised_conv(channels, gate_batch_norm, "none", **options) for key in gate_keys})
        self.messages = nn.ModuleDict(
            {key: _normalised_conv(channels, message_batch_norm, message_scale, **options) for key in self._message_keys()}
        )
        self.outer_sign = Sign(estimator) if outer_sign else nn.Identity()

    def _message_keys(self) -> Sequence[str]:
        if self.message_weights == "per_source":
            return [s for s in self.auxiliary if any(t != s for t in self.tasks)]
        return [f"{t}_from_{s}" for t in self.tasks for s in self.auxiliary if s != t]

    def _key(self, target: str, source: str) -> str:
        return source if self.message_weights == "per_source" else f"{target}_from_{source}"

    def _messages(self, bits: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Key -> message; source gates are applied here, once per distinct message."""
        messages = {}
        for target in self.tasks:
            for source in self.auxiliary:
                key = self._key(target, source)
                if source == target or key in messages:
                    continue
                message = self.messages[key](bits[source])
                if self.gate_source == "source":
                    message = self.gate(self.gates[key](bits[source])) * message
                messages[key] = message
        return messages

    def sums(self, features: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Target -> S^k, what the outer sign is taken of (B, C, H, W)."""
        bits = {task: self.binarizers[task](features[task]) for task in self.auxiliary}
        messages = self._messages(bits)
        result = {}
        for target in self.tasks:
            total = None
            for source in self.auxiliary:
                if source == target:
                    continue
                message = messages[self._key(target, source)]
                total = message if total is None else total + message
            base = bits[target] if self.identity == "binary" else features[target]
            if total is not None:
                if self.gate_source == "target":
                    total = self.gate(self.gates[target](bits[target])) * total
                base = base + total
            result[target] = base
        return result

    def forward(self, features: Dict[str, Tensor]) -> Dict[str, Tensor]:
        return {target: self.outer_sign(total) for target, total in self.sums(features).items()}
