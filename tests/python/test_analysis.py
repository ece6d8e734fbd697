# SPDX-License-Identifier: Apache-2.0
"""The mathematics of the analyses on cases with known answers: CKA, pixels and embedding of t-SNE, Grad-CAM."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from bimtdp_torch.analysis.activations import pooled_activations, run_network
from bimtdp_torch.analysis.cka import CkaTable, centre, cka, gram, minibatches, u_centre
from bimtdp_torch.analysis.embedding import choose_pixels, embed, neighbour_accuracy, pixel_vectors, resize_nearest
from bimtdp_torch.analysis.gradcam import grad_cam, task_score
from bimtdp_torch.analysis.inputs import InputError, Network, Photos
from bimtdp_torch.data.samples import to_input


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def gaussian(n: int, p: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, p))


# -- CKA ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_cka_does_not_see_rotation_scale_and_shift(estimator):
    x = gaussian(20, 12, 1)
    q = np.linalg.qr(gaussian(12, 12, 2))[0]
    for y in (x, x @ q, -3.5 * x, x + 100.0, np.concatenate((x @ q, np.zeros((20, 7))), 1)):
        assert cka(x, y, estimator) == pytest.approx(1, abs=1e-9)
    assert cka(x, x @ np.diag(np.arange(12.0)), estimator) < 0.99  # not every linear map is harmless


def test_independent_features_and_why_the_estimator_matters():
    x, y = gaussian(64, 10_000, 3), gaussian(64, 10_000, 4)
    assert abs(cka(x, y)) < 0.05
    assert cka(x, y, "biased") > 0.98  # features outnumber photos: everything looks alike
    x, y = gaussian(1000, 20, 5), gaussian(1000, 20, 6)
    assert abs(cka(x, y)) < 0.02 and cka(x, y, "biased") < 0.05


def test_hsic_is_the_formula_of_song():
    n = 9
    k, m = gram(gaussian(n, 5, 7)), gram(gaussian(n, 3, 8))
    kt, mt, one = k - np.diag(np.diag(k)), m - np.diag(np.diag(m)), np.ones(n)
    song = (np.trace(kt @ mt) + (one @ kt @ one) * (one @ mt @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ kt @ mt @ one)) / (
        n * (n - 3)
    )
    assert (u_centre(k) * u_centre(m)).sum() / (n * (n - 3)) == pytest.approx(song, rel=1e-12)
    h = np.eye(n) - 1 / n
    np.testing.assert_allclose(centre(k), h @ k @ h, atol=1e-12)


def test_hsic_is_unbiased_over_subsets():
    """The mean over all subsets of 5 of 8 photos is the value of all 8: what minibatches estimate."""
    x, y = gaussian(8, 4, 9), gaussian(8, 4, 10)

    def hsic(rows, estimator):
        table = CkaTable(("x", "y"), estimator)
        table.update((x[rows], y[rows]))
        return table.hsic()[0, 1]

    subsets = [list(rows) for rows in combinations(range(8), 5)]
    whole = hsic(list(range(8)), "unbiased")
    assert np.mean([hsic(rows, "unbiased") for rows in subsets]) == pytest.approx(whole, rel=1e-10)
    biased = np.mean([hsic(rows, "biased") for rows in subsets])
    assert biased != pytest.approx(hsic(list(range(8)), "biased"), rel=0.05)


def test_minibatches_of_a_table():
    x, z = gaussian(512, 30, 11), gaussian(512, 30, 12)
    y = x + 0.8 * z
    table = CkaTable(("x", "y", "z"))
    for part in minibatches(512, 32):
        table.update([v[part] for v in (x, y, z)])
    result = table.result()
    assert (table.photos, table.batches) == (512, 16)
    np.testing.assert_allclose(np.diag(result), 1, atol=1e-12)
    np.testing.assert_allclose(result, result.T)
    for i, j, a, b in ((0, 1, x, y), (0, 2, x, z), (1, 2, y, z)):
        assert result[i, j] == pytest.approx(cka(a, b), abs=0.03)
    assert [list(p)[0] for p in minibatches(70, 32)] == [0, 32, 64]
    assert [len(p) for p in minibatches(66, 32)] == [32, 34]  # no part below four
    with pytest.raises(ValueError, match="at least 4"):
        minibatches(3, 32)


def test_layer_without_variance_is_no_number():
    x = gaussian(8, 6, 13)
    table = CkaTable(("x", "dead"))
    table.update((x, np.full((8, 6), 0.3, np.float32) + 1e-8 * gaussian(8, 6, 14).astype(np.float32)))
    result = table.result()
    assert np.isnan(result[0, 1]) and np.isnan(result[1, 1]) and result[0, 0] == pytest.approx(1)


# -- a network with known features -------------------------------------------------------------------------------------


class Known(nn.Module):
    """Features behind the distillation are the photo's channels, averaged 4x4; maps are 2 f_0 - f_1 (depth) and the
    channels themselves (three classes)."""

    tasks = {"semseg": 3, "depth": 1}

    def training_outputs(self, x):
        features = nn.functional.avg_pool2d(x, 4)
        distilled = {task: features * 1.0 for task in self.tasks}  # noqa: C420  (a tensor of its own for each)
        depth = distilled["depth"]
        return {
            "maps": {"semseg": distilled["semseg"] * 1.0, "depth": 2 * depth[:, :1] - depth[:, 1:2]},
            "backbone": [features],
            "features": [distilled],
            "distilled": [distilled],
            "hidden": {},
        }

    def forward(self, x):
        return {t: nn.functional.interpolate(m, scale_factor=4) for t, m in self.training_outputs(x)["maps"].items()}


KNOWN = Network("known", {"network": {"dataset": "nyud4"}}, Known())


def test_pooled_activations_do_not_depend_on_the_forward_batch():
    photos = np.random.default_rng(0).integers(0, 255, (5, 16, 32, 3), np.uint8)
    one, all_at_once = (pooled_activations(KNOWN.module, photos, 2, batch) for batch in (1, 5))
    assert list(one) == [
        "backbone/out0",
        "features/semseg.0",
        "features/depth.0",
        "distilled/semseg.0",
        "distilled/depth.0",
        "maps/semseg",
        "maps/depth",
    ]
    for name in one:
        np.testing.assert_allclose(one[name], all_at_once[name], atol=1e-6)
    expected = to_input(photos).reshape(5, 3, 2, 8, 2, 16).mean((3, 5)).numpy()
    np.testing.assert_allclose(one["distilled/semseg.0"], expected, atol=1e-5)


def test_pixels_are_balanced_and_their_vectors_come_from_their_place():
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:], labels[:4] = 1, 39
    small = resize_nearest(labels, (10, 15))
    assert (small[1:, :7] == 0).all() and (small[1:, 8:] == 1).all() and (small[0] == 39).all()
    pixels = choose_pixels([small, small, np.full((10, 15), 2, np.uint8)], 39, per_class=20)
    assert {c: int((pixels.label == c).sum()) for c in (0, 1, 2)} == {0: 20, 1: 20, 2: 20} and len(pixels.label) == 60
    again = choose_pixels([small, small, np.full((10, 15), 2, np.uint8)], 39, per_class=20)
    assert all((a == b).all() for a, b in zip(pixels, again))
    assert set(choose_pixels([small], 39, 20, chosen=[1, 0]).label) == {0, 1}
    with pytest.raises(InputError, match="two classes"):
        choose_pixels([small], 39, 20, chosen=[1, 7])
    photos = Photos(list("abc"), [np.random.default_rng(i).integers(0, 255, (40, 60, 3), np.uint8) for i in range(3)])
    vectors = pixel_vectors(KNOWN, photos, (40, 60), (10, 15), pixels, "semseg", 0, batch=2, quiet=True)
    maps = nn.functional.avg_pool2d(to_input(np.stack(photos.images)), 4).numpy()
    np.testing.assert_allclose(vectors, maps[pixels.photo, :, pixels.row, pixels.column], atol=1e-5)
    signs = pixel_vectors(KNOWN, photos, (40, 60), (10, 15), pixels, "semseg", 0, binary=True, quiet=True)
    assert np.array_equal(signs, np.where(vectors >= 0, 1, -1))


def test_tsne_keeps_clusters_apart_and_is_reproducible():
    labels = np.stack([np.repeat([0, 1], 50).reshape(10, 10)] * 2)
    pixels = choose_pixels(list(labels), 2, per_class=60)
    vectors = gaussian(120, 80, 15).astype(np.float32)
    vectors[pixels.label == 1, :8] += 5
    first, again = embed(vectors, pixels, perplexity=20), embed(vectors, pixels, perplexity=20)
    assert np.array_equal(first.points, again.points)
    means = [first.points[pixels.label == c].mean(0) for c in (0, 1)]
    nearer = np.linalg.norm(first.points[:, None] - np.stack(means), axis=2).argmin(1)
    assert (nearer == pixels.label).mean() == 1
    assert first.scores["neighbour_accuracy"] == 1 and first.scores["silhouette_plane"] > 0.5
    mixed = embed(gaussian(120, 80, 16).astype(np.float32), pixels, perplexity=20)
    assert 0.3 < mixed.scores["neighbour_accuracy"] < 0.7 and abs(mixed.scores["silhouette_plane"]) < 0.1
    with pytest.raises(InputError, match="too few"):
        embed(vectors, pixels, perplexity=50)


def test_neighbours_come_from_other_photos():
    """Pixels whose own photo agrees with them and every other photo does not."""
    x = np.array([[0.0], [0.05], [0.3], [0.35], [10.0], [10.1]])
    labels, photo = np.array([0, 0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 2, 2])
    assert neighbour_accuracy(x, labels, photo, 1) == pytest.approx(0)
    assert neighbour_accuracy(x, labels, np.arange(6), 1) == pytest.approx(1)


# -- Grad-CAM ----------------------------------------------------------------------------------------------------------


def test_gradcam_of_a_linear_map():
    """depth = 2 f_0 - f_1, so the weights are 2/n, -1/n, 0 and the map ReLU(2 f_0 - f_1), scaled to 0..1."""
    photo = np.random.default_rng(1).integers(0, 255, (16, 24, 3), np.uint8)
    cams = grad_cam(KNOWN, photo, 0, ["depth"])
    f = nn.functional.avg_pool2d(to_input(photo[None]), 4)[0]
    linear = 2 * f[0] - f[1]
    large = nn.functional.interpolate(linear.clamp_min(0)[None, None], (16, 24), mode="bilinear")[0, 0]
    expected = (large - large.min()) / (large.max() - large.min())
    np.testing.assert_allclose(cams["depth"].map, expected.numpy(), atol=1e-4)
    assert cams["depth"].peak == pytest.approx(float(linear.max()) / linear.numel(), rel=1e-4)
    assert cams["depth"].live == pytest.approx(2 / 3)


def test_gradcam_of_a_class_lies_where_the_class_is():
    photo = np.zeros((16, 32, 3), np.uint8)
    photo[:, :16, 0], photo[:, 16:, 2] = 255, 255  # class 0 wins on the left, class 2 on the right
    left, right = (grad_cam(KNOWN, photo, 0, ["semseg"], wanted=c)["semseg"] for c in (0, 2))
    assert left.map[:, :12].min() == pytest.approx(1) and left.map[:, 20:].max() == pytest.approx(0)
    assert right.map[:, 20:].min() == pytest.approx(1) and right.map[:, :12].max() == pytest.approx(0)
    assert (left.target, right.target) == ("wall", "cabinet")
    with pytest.raises(InputError, match="edge"):
        grad_cam(KNOWN, photo, 0, ["edge"])
    with pytest.raises(InputError, match="scale 4"):
        grad_cam(KNOWN, photo, 4)


def test_scores_of_the_tasks():
    logits = torch.tensor([[[1.0, -2.0], [3.0, 0.5]]])
    assert task_score("edge", logits)[0] == pytest.approx(4.5)
    assert task_score("edge", -logits.abs())[0] == pytest.approx(-6.5)
    assert task_score("depth", logits)[0] == pytest.approx(0.625)
    normals = torch.tensor([3.0, 0.0, 4.0]).view(3, 1, 1).expand(3, 2, 2)
    assert task_score("normals", normals)[0] == pytest.approx(5)
    classes = torch.stack((logits[0], torch.full((2, 2), 0.75)))  # class 0 wins at 1 and 3
    score, name = task_score("semseg", classes, names=("wall", "floor"))
    assert (float(score), name) == (4.0, "wall")


def test_hooks_are_taken_off_again():
    network = nn.Module()
    network.backbone = nn.Sequential()
    network.backbone.add_module("layer1", nn.Sequential(nn.Conv2d(3, 4, 3)))
    network.training_outputs = lambda x: {"maps": {"depth": network.backbone(x)}}
    seen = {}
    run_network(network, torch.zeros(1, 3, 8, 8), lambda name, value: seen.update({name: tuple(value.shape)}))
    assert seen == {"backbone/layer1.0": (1, 4, 6, 6), "maps/depth": (1, 4, 6, 6)}
    assert not network.backbone.layer1[0]._forward_hooks
