# SPDX-License-Identifier: Apache-2.0
"""The two ways in which a conversion ends badly."""


class ConversionError(ValueError):
    """The network cannot be reproduced exactly; the message names the module and the reason."""


class VerificationError(Exception):
    """The converted network does not agree with PyTorch, or could not be compared."""
