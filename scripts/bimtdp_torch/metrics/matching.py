# SPDX-License-Identifier: Apache-2.0
"""One-to-one matching of predicted and true edge pixels, and how the predicted ones are made one pixel wide before."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np


def _smooth(array: np.ndarray, radius: int) -> np.ndarray:
    """Triangle filter of the given radius along both axes, borders repeated."""
    kernel = np.concatenate((np.arange(1, radius + 2), np.arange(radius, 0, -1))) / (radius + 1) ** 2
    for axis in (0, 1):
        width = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        padded, length = np.pad(array, width, mode="edge"), array.shape[axis]
        array = sum(k * padded.take(range(i, i + length), axis) for i, k in enumerate(kernel))
    return array


def suppress_non_maxima(probability: np.ndarray) -> np.ndarray:
    """(H, W) probabilities, 0 wherever a neighbour across the edge is higher.

    The direction across is that of the strongest downward curvature of the map smoothed with radius 4; the comparison
    is made on the map smoothed with radius 1, at bilinear samples one pixel to both sides.
    """
    coarse = _smooth(probability, 4)
    dy, dx = np.gradient(coarse)
    dyy, dyx = np.gradient(dy)
    dxx = np.gradient(dx, axis=1)
    angle = 0.5 * np.arctan2(2 * dyx, dxx - dyy) + np.pi / 2  # the other principal axis runs along the ridge
    across_y, across_x = np.sin(angle), np.cos(angle)
    turn = np.where(across_x + 0.4 * across_y < 0, -1.0, 1.0)  # neighbours have the same first side
    fine = _smooth(probability, 1)
    height, width = fine.shape
    rows, columns = np.mgrid[:height, :width]
    keep = np.ones(fine.shape, bool)
    for side in (1, -1):
        y = np.clip(rows + side * turn * across_y, 0, height - 1)
        x = np.clip(columns + side * turn * across_x, 0, width - 1)
        y0, x0 = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
        wy, wx = y - y0, x - x0
        sample = (1 - wy) * ((1 - wx) * fine[y0, x0] + wx * fine[y0, x0 + 1]) + wy * (
            (1 - wx) * fine[y0 + 1, x0] + wx * fine[y0 + 1, x0 + 1]
        )
        keep &= fine > sample * (1 - side * 1e-9)  # of two equals one stays
    return np.where(keep, probability, 0.0)


def _candidates(level: np.ndarray, truth: np.ndarray, distance: float) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs within ``distance``: (flat index of the predicted pixel, index of the true pixel, squared distance)."""
    radius = int(distance)
    dy, dx = (a.ravel() for a in np.mgrid[-radius : radius + 1, -radius : radius + 1])
    inside = dy * dy + dx * dx <= distance * distance
    dy, dx = dy[inside], dx[inside]
    rows, columns = np.nonzero(truth)
    y, x = rows[:, None] + dy, columns[:, None] + dx
    height, width = level.shape
    valid = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    valid[valid] = level[y[valid], x[valid]] > 0
    true_index, offset = np.nonzero(valid)
    return y[valid] * width + x[valid], true_index, (dy * dy + dx * dx)[offset]


def match_levels(level: np.ndarray, truth: np.ndarray, distance: float) -> np.ndarray:
    """Sizes of the largest one-to-one matchings at every threshold.

    level: (H, W), how many thresholds a predicted pixel passes; truth: (H, W) booleans. Element t - 1 of the result
    belongs to the pixels whose level is at least t, t = 1 .. level.max(). Predicted pixels are added in the order of
    falling level, each with a search for an augmenting path (Kuhn): a pixel that finds none now finds none later, so
    the matching is the largest for every prefix and one pass serves all thresholds.
    """
    gained = np.zeros(int(level.max(initial=0)) + 1, np.int64)
    pixel, true_index, squared = _candidates(level, truth, distance)
    order = np.lexsort((squared, pixel, -level.ravel()[pixel]))
    pixel, neighbours = pixel[order], true_index[order].tolist()
    starts = np.flatnonzero(np.diff(pixel, prepend=-1)).tolist() + [len(pixel)]
    levels = level.ravel()[pixel[starts[:-1]]].tolist()
    adjacent = [neighbours[a:b] for a, b in zip(starts, starts[1:])]
    matching = _Matching(adjacent, int(truth.sum()))
    for vertex, value in enumerate(levels):
        gained[value] += matching.add(vertex)
    return gained[::-1].cumsum()[::-1][1:]


class _Matching:
    """A bipartite matching that grows by one vertex of the left side at a time."""

    def __init__(self, adjacent: List[List[int]], right: int):
        self.adjacent = adjacent
        self.owner = [-1] * right  # of each right vertex
        self.match = [-1] * len(adjacent)  # of each left vertex
        self.closed = [False] * right  # no free vertex can be reached from here any more

    def add(self, vertex: int) -> bool:
        """Whether the matching could be enlarged by ``vertex``."""
        for target in self.adjacent[vertex]:
            if self.owner[target] < 0:
                self.owner[target], self.match[vertex] = vertex, target
                return True
        reached, queue = {}, [vertex]  # right vertex -> left vertex it was reached from
        for left in queue:
            for target in self.adjacent[left]:
                if target in reached or self.closed[target]:
                    continue
                reached[target] = left
                if self.owner[target] < 0:
                    self._augment(target, reached, vertex)
                    return True
                queue.append(self.owner[target])
        for target in reached:
            self.closed[target] = True
        return False

    def _augment(self, target: int, reached: dict, root: int) -> None:
        while True:
            left = reached[target]
            previous = self.match[left]
            self.owner[target], self.match[left] = left, target
            if left == root:
                return
            target = previous
