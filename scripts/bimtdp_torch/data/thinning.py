# SPDX-License-Identifier: Apache-2.0
"""Lines one pixel wide, for edges."""

from __future__ import annotations

import numpy as np

# Neighbours of a pixel as (dy, dx), from the east counter-clockwise: x1 .. x8 of Guo and Hall.
_RING = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def _deletable() -> np.ndarray:
    """(2, 256): whether a pixel with these neighbours goes in the first and second half of an iteration.

    Guo and Hall, "Parallel thinning with two-subiteration algorithms", Communications of the ACM 32 (1989), A1.
    """
    x = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool).T  # x[i] is x_{i+1}
    crossings = sum((~x[i] & (x[i + 1] | x[(i + 2) % 8])).astype(int) for i in (0, 2, 4, 6))
    n1 = sum((x[i] | x[i + 1]).astype(int) for i in (0, 2, 4, 6))
    n2 = sum((x[i + 1] | x[(i + 2) % 8]).astype(int) for i in (0, 2, 4, 6))
    few = np.minimum(n1, n2)
    common = (crossings == 1) & (few >= 2) & (few <= 3)
    return np.stack((common & ~((x[1] | x[2] | ~x[7]) & x[0]), common & ~((x[5] | x[6] | ~x[3]) & x[4])))


_DELETABLE = _deletable()


def thin(mask: np.ndarray) -> np.ndarray:
    """(H, W) booleans thinned to lines of one pixel that are connected as before."""
    height, width = mask.shape
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    while True:
        before = int(inner.sum())
        for table in _DELETABLE:
            code = np.zeros((height, width), np.uint8)
            for bit, (dy, dx) in enumerate(_RING):
                code |= padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width].view(np.uint8) << np.uint8(bit)
            inner &= ~table[code]
        if int(inner.sum()) == before:
            return inner.copy()
