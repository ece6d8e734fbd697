# SPDX-License-Identifier: Apache-2.0
"""odsF, oisF and AP: thinning, non-maximum suppression and matching against cases worked out by hand."""

import itertools
import time

import numpy as np
import pytest

from bimtdp_torch.data.thinning import thin
from bimtdp_torch.metrics import BoundaryMeter
from bimtdp_torch.metrics.matching import match_levels, suppress_non_maxima


def largest_matching(predicted, true, distance):
    """By trying everything: the most predicted pixels that have a true one each."""
    near = {p: [t for t in true if np.hypot(p[0] - t[0], p[1] - t[1]) <= distance] for p in predicted}
    for count in range(min(len(predicted), len(true)), 0, -1):
        for chosen in itertools.combinations(predicted, count):
            if any(len(set(pick)) == count for pick in itertools.product(*(near[p] for p in chosen))):
                return count
    return 0


def test_matching_is_the_largest_at_every_threshold():
    random = np.random.default_rng(3)
    for _ in range(30):
        level = random.integers(1, 4, (5, 6)) * (random.random((5, 6)) < 0.2)
        truth = random.random((5, 6)) < 0.15
        found = match_levels(level, truth, 2.0)
        true = list(zip(*np.nonzero(truth)))
        for t in range(1, int(level.max()) + 1):
            assert found[t - 1] == largest_matching(list(zip(*np.nonzero(level >= t))), true, 2.0)


def test_a_path_of_exchanges_is_found():
    # Columns: predictions at 1, 3, 5, truth at 2, 4, 6; the first predictions take the nearest on their left or right,
    # and the last must be able to push all of them on.
    level, truth = np.zeros((1, 8), int), np.zeros((1, 8), bool)
    level[0, [1, 3, 5]] = (1, 3, 2)
    truth[0, [2, 4, 6]] = True
    assert match_levels(level, truth, 1.0).tolist() == [3, 2, 1]


def test_thinning_keeps_lines_connected_and_one_pixel_wide():
    mask = np.zeros((20, 30), bool)
    mask[8:13, 3:27] = True
    mask[2:18, 14:17] = True
    result = thin(mask)
    assert not (result[1:, 1:] & result[:-1, :-1] & result[1:, :-1] & result[:-1, 1:]).any()
    assert result[:, 5:25].any(0).all() and result[5:15].any(1).all()
    line = np.eye(9, dtype=bool)
    assert (thin(line) == line).all()


@pytest.mark.parametrize("slope", (0.0, 0.5, 1.0))
def test_suppression_leaves_the_crest(slope):
    rows, columns = np.mgrid[:40, :40]
    distance = (rows - 12.3 - slope * columns / 2) / np.hypot(1, slope / 2)
    kept = suppress_non_maxima(np.exp(-((distance / 2) ** 2)))
    strong = kept > 0.05
    assert np.abs(distance[strong]).max() < 1.1
    assert (strong.sum(0)[3:-3] >= 1).all() and strong.sum(0)[3:-3].mean() < 1.3


def test_suppression_of_a_step_two_pixels_wide_leaves_one():
    step = np.zeros((7, 9))
    step[:, 4:6] = 0.9
    assert (suppress_non_maxima(step) > 0).sum(1).tolist() == [1] * 7
    assert (suppress_non_maxima(step.T) > 0).sum(0).tolist() == [1] * 7


def by_hand(suppress=False):
    """Two photos of 3x4 (diagonal 5), tolerance 1 pixel."""
    meter = BoundaryMeter(max_distance=0.2, suppress=suppress)
    truth, probability = np.zeros((3, 4), bool), np.zeros((3, 4))
    truth[:, 1] = True  # 3 pixels
    probability[:, 0] = 0.8  # all match
    probability[:, 3] = 0.3  # none does
    meter.update(probability, truth)
    probability = np.zeros((3, 4))
    probability[:2, 1], probability[1, 3], probability[2, 1] = 0.6, 0.6, 0.2
    meter.update(probability, truth)  # at 0.6: 2 of 3 match (the third is 2 pixels away); at 0.2: 3 of 4
    return meter.result()


def test_scores_worked_out_by_hand():
    # Pooled (predicted, matched) of 6 true pixels: up to 0.2: (10, 6); to 0.3: (9, 5); to 0.6: (6, 5); to 0.8: (3, 3).
    points = {0.2: (0.6, 1.0), 0.3: (5 / 9, 5 / 6), 0.6: (5 / 6, 5 / 6), 0.8: (1.0, 0.5)}
    result = by_hand()
    assert result["odsf"] == pytest.approx(100 * max(2 * p * r / (p + r) for p, r in points.values()))
    assert result["odsf"] == pytest.approx(100 * 5 / 6)
    # The photos' own best: 3 of 3 and 3; then 3 of 4 and 3 (F 6/7 against 2/3 at 0.6): P 6/7, R 1.
    assert result["oisf"] == pytest.approx(100 * 12 / 13)
    # Precision over recall: 0 to 0.5: at 0 recall 0 (threshold above 0.8, precision 0), 1 at 0.5, 5/9 or 5/6 at 5/6.
    recall, precision = [0, 0.5, 5 / 6, 1], [0, 1, 5 / 9, 0.6]
    assert result["edge_ap"] == pytest.approx(np.interp(np.arange(101) / 100, recall, precision).sum())


def test_a_true_pixel_matches_once():
    truth, probability = np.zeros((9, 12), bool), np.zeros((9, 12))  # diagonal 15
    truth[4], probability[3:6] = True, 0.9  # three rows for one
    meter = BoundaryMeter(max_distance=0.1, suppress=False)
    meter.update(probability, truth)
    assert meter.result()["odsf"] == pytest.approx(100 * 2 * (1 / 3) / (4 / 3))
    meter = BoundaryMeter(max_distance=0.1)  # with suppression the crest alone is left
    meter.update(probability, truth)
    assert meter.result()["odsf"] == pytest.approx(100)


def test_thresholds_include_their_own_value():
    truth = np.zeros((8, 8), bool)
    truth[4] = True
    for value, expected in ((0.01, 100.0), (0.0099, 0.0), (0.29, 100.0), (0.99, 100.0), (1.0, 100.0)):
        meter = BoundaryMeter(suppress=False)
        meter.update(np.where(truth, value, 0.0), truth)
        assert meter.result()["odsf"] == pytest.approx(expected)


def test_a_photo_takes_well_under_a_second():
    random = np.random.default_rng(0)
    truth = np.zeros((240, 320), bool)
    truth[::24], truth[:, ::24] = True, True
    probability = random.random((240, 320)) * 0.5 + 0.4 * truth
    meter = BoundaryMeter()
    started = time.process_time()
    meter.update(probability, truth)
    assert time.process_time() - started < 1.0
