# SPDX-License-Identifier: Apache-2.0
"""Metrics against values computed by hand."""

import numpy as np
import pytest

from bimtdp_torch.metrics import DepthMeter, EdgeMeter, NormalsMeter, SegmentationMeter


def test_segmentation():
    meter = SegmentationMeter(classes=3, ignore=3)
    meter.update(np.array([[0, 0, 1, 2]]), np.array([[0, 1, 1, 3]]))
    # class 0: 1 hit, 1 false positive; class 1: 1 hit, 1 miss; class 2: absent (its one prediction is ignored)
    assert meter.result() == pytest.approx({"miou": 100 * (0.5 + 0.5 + 0) / 3, "pixel_accuracy": 100 * 2 / 3})


def test_depth_is_pooled_over_pixels():
    meter = DepthMeter()
    meter.update(np.array([1.0, 2.0, 9.0]), np.array([1.0, 4.0, 0.0]))
    meter.update(np.array([3.0]), np.array([1.0]))
    assert meter.result()["rmse"] == pytest.approx(np.sqrt((0 + 4 + 4) / 3))


def test_normals():
    meter = NormalsMeter()
    meter.update(np.array([[0, 0, 2.0], [1, 0, 0], [0, 0, -1]]), np.array([[0, 0, 1.0], [0, 1, 0], [0, 0, 0]]))
    assert meter.result()["normals_degrees"] == pytest.approx(45)


def test_edges_within_tolerance():
    truth = np.zeros((9, 9), bool)
    truth[:, 4] = True
    near, far = np.zeros((9, 9)), np.zeros((9, 9))
    near[:, 6], far[:, 7] = 0.9, 0.9
    for probability, expected in ((near, 1.0), (far, 0.0)):
        meter = EdgeMeter(tolerance=2)
        meter.update(probability, truth)
        assert meter.result()["edge_f"] == pytest.approx(expected)


def test_edge_best_threshold():
    truth = np.zeros((9, 9), bool)
    truth[:, 4] = True
    probability = np.full((9, 9), 0.3)
    probability[:, 4] = 0.8
    meter = EdgeMeter(tolerance=1)
    meter.update(probability, truth)
    assert meter.result()["edge_f"] == pytest.approx(1.0)  # at any threshold between 0.3 and 0.8
