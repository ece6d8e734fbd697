# SPDX-License-Identifier: Apache-2.0
"""Converts PyTorch networks into model files of the C++ library. ``convert`` does it all; scripts/convert.py is its
command line."""

from .errors import ConversionError, FlippedSignsError, VerificationError
from .pipeline import Options, Result, Source, convert

__all__ = ["ConversionError", "FlippedSignsError", "Options", "Result", "Source", "VerificationError", "convert"]
