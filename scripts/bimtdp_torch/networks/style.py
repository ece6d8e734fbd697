# SPDX-License-Identifier: Apache-2.0
"""How binary units are built: the presets ``bimtdp``, ``bireal``, ``irnet`` and ``reactnet``, and single choices."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from typing import Any, Dict, Mapping, Optional

from torch import nn

from .estimators import make_binarizer
from .layers import BinaryConv2d, make_activation

SCALES = ("none", "xnor", "power_of_two")


@dataclass(frozen=True)
class BinaryStyle:
    """How binary units are built; ``None`` in place of a style means full precision.

    binarizer:    sign | rsign | bn_sign, in front of every binary convolution
    activation:   none | hardtanh | prelu | rprelu, behind its batch normalisation and shortcut
    estimator, weight_estimator: gradient of the sign of activations and of weights, bireal | clip | ede
    standardise:  filters are standardised before their sign (IR-Net)
    scale:        none | xnor (mean |W| a filter) | power_of_two (IR-Net's); no effect behind a batch normalisation but
                  on its epsilon
    binarize_1x1: shortcuts, fusions and masks of 1x1 are binary, too
    """

    binarizer: str = "rsign"
    activation: str = "prelu"
    estimator: str = "bireal"
    weight_estimator: str = "clip"
    standardise: bool = False
    scale: str = "none"
    binarize_1x1: bool = False

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"style: scale must be one of {SCALES}, got {self.scale!r}")

    def conv(self, cin: int, cout: int, kernel: int, stride: int = 1, dilation: int = 1) -> BinaryConv2d:
        """Binary convolution that keeps the size (for stride 1); its input must be binary."""
        return BinaryConv2d(cin, cout, kernel, stride, dilation * (kernel // 2), dilation, **self.conv_options())

    def conv_options(self) -> Dict[str, Any]:
        """Keyword arguments of BinaryConv2d."""
        return {
            "scaled": self.scale != "none",
            "power_of_two": self.scale == "power_of_two",
            "standardise": self.standardise,
            "estimator": self.weight_estimator,
        }

    def attention_options(self) -> Dict[str, Any]:
        """Keyword arguments of BinaryAttention that follow from the style."""
        return {
            "estimator": self.estimator,
            "weight_estimator": self.weight_estimator,
            "standardise": self.standardise,
            **({"message_scale": self.scale} if self.scale != "none" else {}),
        }

    def binarize(self, channels: int, kind: Optional[str] = None) -> nn.Module:
        """Binarizer of the style, or of ``kind``."""
        return make_binarizer(kind or self.binarizer, channels, self.estimator)

    def act(self, channels: int) -> nn.Module:
        """Activation behind batch normalisation and shortcut."""
        return make_activation(self.activation, channels)

    def conv1x1_bn(self, cin: int, cout: int) -> nn.Sequential:
        """Binarizer, binary 1x1 convolution (key 0) and batch normalisation (key 1)."""
        return nn.Sequential(
            OrderedDict([("binarize", self.binarize(cin)), ("0", self.conv(cin, cout, 1)), ("1", nn.BatchNorm2d(cout))])
        )


PRESETS = {
    "bireal": BinaryStyle("sign", "none"),
    "irnet": BinaryStyle("sign", "hardtanh", "ede", "ede", True, "power_of_two"),
    "reactnet": BinaryStyle("rsign", "rprelu"),
    "bimtdp": BinaryStyle("rsign", "prelu"),  # ReActNet without the shifts that its neighbours absorb
}


def make_style(preset: str, changes: Mapping[str, Any]) -> BinaryStyle:
    """A preset with single choices changed."""
    known = [field.name for field in fields(BinaryStyle)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ValueError(f"style: unknown choice {unknown[0]!r} (there are {', '.join(known)})")
    return replace(PRESETS[preset], **changes)
