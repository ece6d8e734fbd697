# SPDX-License-Identifier: Apache-2.0
"""analyze.py from the command line to the files, on small networks with random weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from analysis_tools import PHOTOS, checkpoints, has_colour, pixels_of, run, svg_text  # noqa: F401  (a fixture)
from PIL import Image

from bimtdp_torch.analysis.activations import pooled_activations
from bimtdp_torch.analysis.inputs import InputError, Network, load_network, split_name
from bimtdp_torch.data.samples import to_input
from bimtdp_torch.networks.build import build_network


def test_cka_command(checkpoints, data_folder, tmp_path):
    run(
        "analyze",
        "cka",
        checkpoints["mti_net"],
        f"small={checkpoints['bi_mtdp_c']}",
        "--data",
        data_folder,
        "--list",
        "train",
        "--count",
        9,
        "--batch",
        5,
        "--grid",
        4,
        "--output",
        tmp_path / "cka",
    )
    rows = list(csv.reader(open(tmp_path / "cka.csv")))
    table = np.array([[float(v) for v in row[1:]] for row in rows[1:]])
    assert rows[0][1:] == [row[0] for row in rows[1:]] and table.shape[0] == table.shape[1]
    alive = np.isfinite(np.diag(table))
    assert np.allclose(np.diag(table)[alive], 1, atol=1e-5) and alive.all()
    assert np.allclose(table, table.T, atol=1e-5, equal_nan=True)
    layers = [name for name in rows[0][1:] if name.startswith("small/")]
    assert {n.split("/")[1] for n in layers} == {"backbone", "features", "propagation", "distilled", "hidden", "maps"}
    assert sum("backbone/block" in n for n in layers) == 16 and sum("/distilled/" in n for n in layers) == 16
    summary = json.loads((tmp_path / "cka.json").read_text())
    assert summary["estimator"] == "unbiased" and summary["photos"] == 9
    maps = np.flatnonzero([name.startswith("mti_net/maps") for name in rows[0][1:]])
    others = table[np.ix_(maps, maps)][~np.eye(4, dtype=bool)]
    assert summary["group_means"]["mti_net/maps"]["mti_net/maps"] == pytest.approx(others.mean(), abs=2e-4)
    figure = pixels_of(tmp_path / "cka.png")
    assert figure.shape[1] > 2 * figure.shape[0]  # three panels
    assert has_colour(figure, (253, 231, 36)) > 500  # 1 is yellow
    assert "mti_net and small" in svg_text(tmp_path / "cka.svg")


def test_distilled_layers_are_the_sums_before_the_sign(checkpoints):
    network = load_network(str(checkpoints["bi_mtdp_c"]))
    photos = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8)
    signs = []
    handle = network.module.distillation_scale_3.register_forward_hook(lambda m, a, result: signs.append(result))
    with torch.no_grad():
        network.module(to_input(photos))
    handle.remove()
    values = pooled_activations(network.module, photos, grid=64)  # larger than the maps: nothing is pooled
    for task, sign in signs[0].items():
        found = values[f"distilled/{task}.3"]
        assert np.array_equal(np.where(found >= 0, 1, -1), sign.numpy()) and len(np.unique(found)) > 2


@pytest.mark.parametrize(
    "section, some, count",
    [
        (
            {"name": "bi_mtdp_f", "backbone": "hrnet_w18", "dataset": "nyud2"},
            [
                "backbone/stem",
                "backbone/layer1.1",
                "backbone/stage3.2/s16",
                "backbone/stage4.1/s32",
                "backbone/out3",
                "features/depth.3",
                "propagation/depth.1",
                "distilled/semseg.0",
                "hidden/depth",
                "maps/semseg",
            ],
            52,
        ),
        (
            {"name": "single_task", "task": "semseg", "backbone": "resnet18", "dataset": "nyud4"},
            ["backbone/stem", "backbone/layer1.0", "backbone/layer4.1", "hidden/semseg", "maps/semseg"],
            11,
        ),
    ],
)
def test_layers_of_other_networks(section, some, count):
    torch.manual_seed(0)
    photos = np.random.default_rng(0).integers(0, 255, (1, 32, 64, 3), np.uint8)
    values = pooled_activations(build_network(section).eval(), photos, grid=2)
    assert len(values) == count and [name for name in values if name in some] == some
    assert max(max(v.shape[2:]) for v in values.values()) <= 2


def test_tsne_command(checkpoints, data_folder, tmp_path):
    command = [
        "analyze",
        "tsne",
        checkpoints["mti_net"],
        checkpoints["bi_mtdp_c"],
        "--data",
        data_folder,
        "--count",
        2,
        "--per-class",
        40,
        "--perplexity",
        10,
    ]
    run(*command, "--output", tmp_path / "one")
    run(*command, "--output", tmp_path / "two")
    one, two = ((tmp_path / f"{name}.csv").read_text() for name in ("one", "two"))
    assert one == two and (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    rows = list(csv.reader(one.splitlines()))
    assert rows[0] == ["photo", "row", "column", "class", "mti_net x", "mti_net y", "bi_mtdp_c x", "bi_mtdp_c y"]
    summary = json.loads((tmp_path / "one.json").read_text())
    assert summary["pixels"] == {"wall": 40, "floor": 40} and len(rows) == 81
    for row in rows[1:]:  # the class is that of the label under the pixel's centre
        label = np.asarray(Image.open(data_folder / "label" / f"{row[0]}.png"))[7:235, 8:312]
        place = int((int(row[1]) + 0.5) * 228 / 16), int((int(row[2]) + 0.5) * 304 / 24)
        assert label[place] == {"wall": 0, "floor": 1}[row[3]]
    assert 0 <= summary["scores"]["mti_net"]["neighbour_accuracy"] <= 1
    text = svg_text(tmp_path / "one.svg")
    assert "wall (40)" in text and "coloured by their labels" in text
    figure = pixels_of(tmp_path / "one.png")
    assert has_colour(figure, (0xD5, 0x5E, 0x00)) > 20  # floor, drawn in the second colour


def test_gradcam_command(checkpoints, tmp_path):
    run(
        "analyze",
        "gradcam",
        checkpoints["mti_net"],
        checkpoints["bi_mtdp_c"],
        "--photos",
        PHOTOS,
        "--class",
        "chair",
        "--output",
        tmp_path / "cam",
    )
    rows = list(csv.DictReader(open(tmp_path / "cam.csv")))
    assert len(rows) == 2 * 2 * 4 and {r["task"] for r in rows} == {"semseg", "normals", "edge", "depth"}
    assert {r["target"] for r in rows if r["task"] == "semseg"} == {"chair"}
    assert sum(float(r["peak"]) > 0 for r in rows) > 8
    assert all(float(r["features with a gradient"]) > 0 for r in rows)  # the estimator lets some through
    text = svg_text(tmp_path / "cam.svg")
    assert "lounge" in text and "surface normals" in text
    figure = pixels_of(tmp_path / "cam.png")
    assert figure.shape[0] > 800 and figure.shape[1] > 1400
    saturation = figure.max(-1).astype(int) - figure.min(-1)
    assert (saturation > 60).mean() > 0.05  # overlays, not grey photos


def test_networks_without_distillation(checkpoints, data_folder, tmp_path):
    """Their features are the backbone's, and the figure says so."""
    run(
        "analyze",
        "tsne",
        checkpoints["multi_task"],
        "--data",
        data_folder,
        "--count",
        2,
        "--per-class",
        40,
        "--perplexity",
        10,
        "--output",
        tmp_path / "tsne",
    )
    assert "features of the backbone" in svg_text(tmp_path / "tsne.svg")
    run(
        "analyze",
        "gradcam",
        checkpoints["multi_task"],
        "--photos",
        PHOTOS / "office.jpg",
        "--tasks",
        "depth",
        "--scale",
        3,
        "--output",
        tmp_path / "cam",
    )
    assert "multi_task" in svg_text(tmp_path / "cam.svg")
    (row,) = csv.DictReader(open(tmp_path / "cam.csv"))
    assert row["task"] == "depth" and float(row["features with a gradient"]) > 0.5


def test_errors_say_what_and_where(checkpoints, data_folder, tmp_path, capsys):
    good, empty = checkpoints["multi_task"], tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    cases = [
        (["analyze", "cka", tmp_path / "none.pt", "--data", data_folder], "none.pt: no such checkpoint"),
        (["analyze", "cka", tmp_path / "bad.pt", "--data", data_folder], "bad.pt: no checkpoint"),
        (["analyze", "cka", good, "--data", data_folder, "--count", 2], "at least 4"),
        (["analyze", "cka", good, "--data", empty], "no nyud4 data"),
        (["analyze", "tsne", good, "--data", data_folder, "--classes", "unicorn"], "unicorn"),
        (["analyze", "tsne", good, "--data", data_folder, "--scale", 4], "scales 0 to 3"),
        (["analyze", "gradcam", good, "--photos", PHOTOS, "--size", 100, 96], "--size must be height and width, multiples of 32"),
        (["compare", good, "--photos", PHOTOS, "--size", 100, 96], "--size must be height and width, multiples of 32"),
        (["analyze", "gradcam", good, "--photos", empty], "no photos in it"),
        (["analyze", "gradcam", good, "--photos", PHOTOS, "--tasks", "sal"], "--tasks sal"),
        (["compare", tmp_path / "none.safetensors", "--photos", PHOTOS], "none.safetensors: no such model"),
    ]
    for command, message in cases:
        with pytest.raises(SystemExit) as stop:
            run(*command, "--output", tmp_path / "out")
        assert message in str(stop.value.code) + capsys.readouterr().err, command
    with pytest.raises(SystemExit):
        run("analyze", "cka", good, good, good, "--data", data_folder)
    assert "one or two networks" in capsys.readouterr().err
    assert split_name("a=b/c.pt") == ("a", Path("b/c.pt"))
    (empty / "lr=1.pt").write_bytes(b"")
    assert split_name(str(empty / "lr=1.pt")) == (None, empty / "lr=1.pt")
    with pytest.raises(InputError, match="n: names no size"):
        Network("n", {"network": {}}, None).size  # noqa: B018
