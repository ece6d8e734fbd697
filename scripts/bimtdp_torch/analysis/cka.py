# SPDX-License-Identifier: Apache-2.0
"""Linear centred kernel alignment (CKA) between layers, with memory that does not grow with the number of photos.

Kornblith et al., "Similarity of Neural Network Representations Revisited" (ICML 2019). For features X (n, p) and
Y (n, q) of the same n photos, with Gram matrices K = X X^T and L = Y Y^T:

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

Two estimators of HSIC. ``biased`` centres with H = I - 11^T / n: <HKH, HLH> / (n - 1)^2. It tends to 1 for
*independent* features when p >> n, which is where feature maps are. ``unbiased`` is HSIC_1 (Song et al., JMLR 2012):

    HSIC_1 = [tr(K'L') + 1^T K' 1 1^T L' 1 / ((n-1)(n-2)) - 2 / (n-2) 1^T K'L' 1] / (n (n-3)),  K' = K without diagonal

which equals <U(K), U(L)> / (n (n-3)) for the U-centred matrices of Szekely and Rizzo (Ann. Statist. 2014). So every
layer becomes one vector a minibatch, and the table of all pairs one matrix product. Sums over minibatches of HSIC_1
stay unbiased (Nguyen et al., ICLR 2021), whatever the minibatches' number; the biased form is exact in one batch only.
"""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

ESTIMATORS = ("unbiased", "biased")
LEAST_BATCH = 4  # HSIC_1 divides by n - 3


def gram(features: np.ndarray) -> np.ndarray:
    """(n, ...) features, one row a photo -> (n, n) Gram matrix of the centred features, float64."""
    flat = np.asarray(features).reshape(len(features), -1).astype(np.float64)
    flat = flat - flat.mean(0)  # both centrings remove it anyway; without it small differences drown in rounding
    return flat @ flat.T


def centre(k: np.ndarray) -> np.ndarray:
    """H K H: rows and columns with mean zero."""
    return k - k.mean(0, keepdims=True) - k.mean(1, keepdims=True) + k.mean()


def u_centre(k: np.ndarray) -> np.ndarray:
    """U-centred (n, n) matrix: zero diagonal, rows that sum to zero, unbiased inner products."""
    n = len(k)
    k = k - np.diag(np.diag(k))
    rows = k.sum(1)
    k = k - rows[:, None] / (n - 2) - rows[None, :] / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(k, 0.0)
    return k


class CkaTable:
    """CKA of every pair of ``names``, fed with minibatches of features."""

    def __init__(self, names: Sequence[str], estimator: str = "unbiased"):
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator must be one of {ESTIMATORS}, got {estimator!r}")
        self.names, self.estimator = list(names), estimator
        self.sums = np.zeros((len(self.names),) * 2)
        self.energy = np.zeros(len(self.names))  # sum of squares before centring: tells noise from variance
        self.batches, self.photos = 0, 0

    def update(self, features: Sequence[np.ndarray]) -> None:
        """Adds one minibatch: (n, ...) features of every layer, in the order of ``names``, n >= 4."""
        if len(features) != len(self.names):
            raise ValueError(f"features of {len(features)} layers for a table of {len(self.names)}")
        n = len(features[0])
        if n < LEAST_BATCH:
            raise ValueError(f"a minibatch of {n} photos: CKA needs at least {LEAST_BATCH}")
        unbiased = self.estimator == "unbiased"
        rows: List[np.ndarray] = []
        for layer, values in zip(self.names, features):
            if len(values) != n:
                raise ValueError(f"layer {layer}: {len(values)} photos in a minibatch of {n}")
            self.energy[len(rows)] += float(np.square(values, dtype=np.float64).sum())
            k = gram(values)
            rows.append((u_centre(k) if unbiased else centre(k)).ravel())
        matrix = np.stack(rows)
        # Weighted by n: with a last, smaller minibatch every photo still counts the same.
        self.sums += n * (matrix @ matrix.T) / (n * (n - 3) if unbiased else (n - 1) ** 2)
        self.batches, self.photos = self.batches + 1, self.photos + n

    def hsic(self) -> np.ndarray:
        """(layers, layers) HSIC, averaged over the minibatches."""
        return self.sums / max(self.photos, 1)

    def result(self) -> np.ndarray:
        """(layers, layers) CKA. The unbiased form may lie a little below 0; a layer without variance gives NaN."""
        hsic = self.hsic()
        self_similarity = np.diag(hsic)
        noise = (1e-10 * self.energy / max(self.photos, 1)) ** 2  # float32 features that differ by rounding alone
        scale = np.sqrt(np.where(self_similarity > noise, self_similarity, np.nan))
        return hsic / scale[:, None] / scale[None, :]


def cka(x: np.ndarray, y: np.ndarray, estimator: str = "unbiased") -> float:
    """CKA of two layers' features (n, ...) of the same photos in one batch."""
    table = CkaTable(("x", "y"), estimator)
    table.update((x, y))
    return float(table.result()[0, 1])


def minibatches(count: int, size: int) -> List[range]:
    """Consecutive ranges of ``size``; a rest below four photos joins the range before it."""
    if count < LEAST_BATCH:
        raise ValueError(f"{count} photos: CKA needs at least {LEAST_BATCH}")
    starts = list(range(0, count, max(size, LEAST_BATCH)))
    if count - starts[-1] < LEAST_BATCH and len(starts) > 1:
        starts.pop()
    return [range(start, end) for start, end in zip(starts, starts[1:] + [count])]
