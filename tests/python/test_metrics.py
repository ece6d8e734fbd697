# SPDX-License-Identifier: Apache-2.0
"""Metrics against values computed by hand."""

import numpy as np
import pytest

from bimtdp_torch.metrics import (
    DepthMeter,
    EdgeMeter,
    HumanPartsMeter,
    Metrics,
    NormalsMeter,
    SaliencyMeter,
    SegmentationMeter,
    delta_mtl,
)


def test_segmentation():
    meter = SegmentationMeter(classes=3)
    meter.update(np.array([[0, 0, 1, 2]]), np.array([[0, 1, 1, 39]]))
    # class 0: 1 hit, 1 false positive; class 1: 1 hit, 1 miss; class 2: absent (its one prediction is ignored)
    assert meter.result() == pytest.approx({"miou": 100 * (0.5 + 0.5 + 0) / 3, "pixel_accuracy": 100 * 2 / 3})


def test_human_parts_skips_photos_without_people():
    meter = HumanPartsMeter(classes=2)
    meter.update(np.array([[0, 1]]), np.array([[1, 1]]))
    for empty in (0, 255):
        meter.update(np.array([[1, 1]]), np.full((1, 2), empty))
    assert meter.result()["human_parts_miou"] == pytest.approx(25)  # background 0 (one false), person 1/2
    meter.update(np.array([[1, 1]]), np.array([[0, 255]]))  # two values: counts
    assert meter.result()["human_parts_miou"] == pytest.approx(100 * (0 + 1 / 3) / 2)


def test_depth_is_pooled_over_pixels():
    meter = DepthMeter()
    meter.update(np.array([1.0, 2.0, 9.0]), np.array([1.0, 4.0, 0.0]))
    meter.update(np.array([3.0]), np.array([1.0]))
    assert meter.result()["rmse"] == pytest.approx(np.sqrt((0 + 4 + 4) / 3))
    assert meter.result()["log_rmse"] == pytest.approx(np.sqrt((np.log(2) ** 2 + np.log(3) ** 2) / 3))


def test_normals():
    meter = NormalsMeter()
    meter.update(np.array([[0, 0, 2.0], [1, 0, 0], [0, 0, -1]]), np.array([[0, 0, 1.0], [0, 1, 0], [0, 0, 0]]))
    assert meter.result()["normals_degrees"] == pytest.approx(45)


def test_shares_and_median_of_normals():
    degrees = np.array([5.0, 12.0, 20.0, 25.0, 100.0])
    radians = np.radians(degrees)
    meter = NormalsMeter()
    meter.update(np.stack((np.sin(radians), 0 * radians, np.cos(radians)), -1), np.array([[0, 0, 1.0]] * 5))
    result = meter.result()
    assert [result[k] for k in ("normals_11_25", "normals_22_5", "normals_30")] == pytest.approx([20, 60, 80])
    assert result["normals_median"] == pytest.approx(20, abs=0.01)
    assert result["normals_degrees"] == pytest.approx(degrees.mean())


def test_saliency_in_both_conventions():
    meter = SaliencyMeter()
    meter.update(np.array([[0.9, 0.9, 0.1, 0.9]]), np.array([[1, 0, 0, 255]]))  # IoU 1/2, P 1/2, R 1
    meter.update(np.array([[0.1, 0.1]]), np.array([[0, 0]]))  # nothing there, nothing said: IoU 1, P and R 0
    result = meter.result()
    assert result["sal_miou"] == pytest.approx(75)
    assert result["sal_maxf_mti_net"] == pytest.approx(100 * 2 * 0.25 * 0.5 / 0.75)
    assert result["sal_maxf"] == pytest.approx(100 * 1.3 * 0.5 / (0.3 * 0.5 + 1))  # pooled: P 1/2, R 1


def test_saliency_thresholds_are_strict_and_the_best_counts():
    meter = SaliencyMeter()
    meter.update(np.array([[0.5, 0.44, 0.44]]), np.array([[1, 0, 0]]))  # at 0.45 only the first passes
    assert meter.result()["sal_miou"] == pytest.approx(100)
    assert meter.result()["sal_maxf"] == pytest.approx(100)
    meter = SaliencyMeter()
    meter.update(np.array([[0.2]]), np.array([[1]]))  # MTI-Net's lowest threshold is not passed, 0.15 is
    assert meter.result()["sal_miou"] == 0
    assert meter.result()["sal_maxf"] == pytest.approx(100)


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


def test_gain_over_single_tasks():
    single = {"miou": 40.0, "rmse": 0.5, "normals_degrees": 20.0}
    multi = {"miou": 44.0, "rmse": 0.45, "normals_degrees": 22.0}
    assert delta_mtl(multi, single, ["semseg", "depth", "normals"]) == pytest.approx(100 * (0.1 + 0.1 - 0.1) / 3)
    with pytest.raises(ValueError, match="single-task figures lack odsf .task edge"):
        delta_mtl({**multi, "odsf": 1.0}, single, ["edge"])


def test_a_prediction_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="map of depth holds NaN"):
        Metrics(3, 0.01).update({"depth": np.full((2, 2, 1), np.nan)}, {"depth": np.ones((2, 2))})


def test_only_the_tasks_that_were_predicted_are_reported():
    metrics = Metrics(classes=2)
    semseg = np.zeros((4, 4, 3))
    semseg[..., 2] = 5.0  # an output that no label names is not chosen
    truth = {"semseg": np.zeros((4, 4), int), "depth": np.ones((4, 4))}
    metrics.update({"semseg": semseg}, truth)
    assert metrics.result() == {"miou": 50.0, "pixel_accuracy": 100.0}
    with pytest.raises(ValueError, match="predicts edge, but the data has no labels"):
        metrics.update({"edge": np.zeros((4, 4, 1))}, truth)
