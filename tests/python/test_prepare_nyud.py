# SPDX-License-Identifier: Apache-2.0
"""The parts of prepare_nyud.py on made-up frames."""

import numpy as np
import pytest
import torch

from bimtdp_torch.data.nyud import decode_normals

import prepare_nyud


def test_class_labels():
    mapping = np.array([1, 40, 39])
    assert prepare_nyud.class_labels(np.array([[0, 1, 2, 3]]), mapping).tolist() == [[39, 0, 39, 38]]


def test_depth_code_is_the_documented_one():
    depth = np.array([0.8, 3.0, 9.9])
    decoded = (prepare_nyud.encode_depth(depth) + 0.5) / 255 * 9.99547
    assert np.abs(decoded - depth).max() <= 0.5 / 255 * 9.99547 + 1e-9


def test_what_was_not_measured_is_unknown_and_nothing_else():
    assert prepare_nyud.encode_depth(np.array([0.0, 0.001, 0.05, 20.0])).tolist() == [0, 1, 1, 255]
    depth = np.full((30, 40), 2.0)
    depth[:, 20:] = 0
    stored = prepare_nyud.encode_normals(prepare_nyud.surface_normals(depth))
    normals = decode_normals(torch.from_numpy(stored).permute(2, 0, 1))
    assert not normals[:, :, 20:].any() and (normals[2, :, :20] > 0.99).all()


def test_normals_of_a_wall_and_a_floor(monkeypatch):
    wall = prepare_nyud.surface_normals(np.full((60, 80), 2.0))
    np.testing.assert_allclose(wall[20:40, 20:60], np.broadcast_to([0, 0, 1.0], (20, 40, 3)), atol=1e-6)
    rows = np.arange(60)[:, None] + 200.0  # below the horizon; a floor 1 m under the camera
    floor = np.broadcast_to(prepare_nyud.FOCAL[1] / (rows - prepare_nyud.CENTRE[1]), (60, 80))
    monkeypatch.setattr(prepare_nyud, "CENTRE", (prepare_nyud.CENTRE[0], prepare_nyud.CENTRE[1] - 200))
    normals = prepare_nyud.surface_normals(np.ascontiguousarray(floor))
    assert np.degrees(np.arccos(normals[20:40, 20:60, 1].clip(-1, 1))).max() < 3


def test_edges_cross_small_gaps_only():
    pytest.importorskip("scipy")
    labels = np.ones((10, 30), int)
    labels[:, 10:13] = 0
    labels[:, 13:] = 2
    edges = prepare_nyud.region_edges(labels)
    assert edges.sum(1).tolist() == [1] * 10
    labels[:, 5:20] = 0
    assert not prepare_nyud.region_edges(labels).any()
