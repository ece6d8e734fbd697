# SPDX-License-Identifier: Apache-2.0
"""The two ways in which a conversion ends badly."""


class ConversionError(ValueError):
    """The network cannot be reproduced exactly; the message names the module and the reason."""


class VerificationError(Exception):
    """The converted network does not agree with PyTorch, or could not be compared."""


class FlippedSignsError(VerificationError):
    """Every node agrees with PyTorch, but signs of sums near 0 fall differently and travel on when the network runs freely."""


class ModelFileError(ValueError):
    """A file that is no model file, or not of a kind that can be used; the message names the file and the reason."""
