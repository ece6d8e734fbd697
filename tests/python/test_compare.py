# SPDX-License-Identifier: Apache-2.0
"""compare.py: contact sheets of checkpoints and converted models, with and without ground truth."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from analysis_tools import PHOTOS, REPOSITORY, checkpoints, has_colour, pixels_of, run, svg_text  # noqa: F401  (a fixture)
from test_pascal import archive  # noqa: F401  (a fixture)

from bimtdp_torch.analysis import comparison
from bimtdp_torch.analysis.colours import colour_depth, palette
from bimtdp_torch.analysis.inputs import InputError, data_photos

MODEL = REPOSITORY / "examples" / "models" / "bi_mtdp_c_lite0_nyud4.safetensors"


def test_compare_command_with_ground_truth(checkpoints, data_folder, tmp_path):
    run(
        "compare",
        checkpoints["mti_net"],
        f"ours={checkpoints['bi_mtdp_c']}",
        "--data",
        data_folder,
        "--frames",
        "0017",
        "--output",
        tmp_path / "sheet",
    )
    rows = list(csv.DictReader(open(tmp_path / "sheet.csv")))
    assert len(rows) == 8 and {r["network"] for r in rows} == {"mti_net", "ours"}
    text = svg_text(tmp_path / "sheet.svg")
    assert all(word in text for word in ("ground truth", "ours", "0017", "segmentation", "depth, metres", "wall"))
    accuracy = next(float(r["value"]) for r in rows if r["figure"] == "pixel_accuracy" and r["network"] == "ours")
    assert f"{accuracy:.0f} % of pixels right" in text
    figure = pixels_of(tmp_path / "sheet.png")
    for colour in palette(39)[:2]:  # the two labelled classes
        assert has_colour(figure, colour) > 2000


def test_sheet_shows_the_truth_and_the_predictions(data_folder):
    """A network that answers with the ground truth gets full marks, and its pictures are the truth's."""
    photos = data_photos("nyud4", data_folder, ids=["0017", "0018"])

    def perfect(images):
        for truth in photos.truth:
            edge = np.where(truth["edge"], 9.0, -9.0)[..., None]
            classes = 9.0 * (truth["semseg"][..., None] == np.arange(39))
            yield {"semseg": classes, "depth": truth["depth"][..., None], "normals": truth["normals"], "edge": edge}

    sheet, figures = comparison.build([comparison.Entrant("perfect", (228, 304), perfect)], photos, quiet=True)
    assert [row.label for row in sheet.rows] == ["ground truth", "perfect"] * 2
    assert [row.first for row in sheet.rows] == [True, False] * 2
    assert sheet.columns == ["photo", "segmentation", "depth", "surface normals", "edges"]
    best = {"pixel_accuracy": 100, "rmse": 0, "normals_degrees": 0, "edge_f": 1}
    assert len(figures) == 8
    for *_, figure, value in figures:
        assert value == pytest.approx(best[figure], abs=1e-3)
    for truth, prediction in (sheet.rows[:2], sheet.rows[2:]):
        labelled = truth.tiles[1].image.any(-1)  # black: unlabelled
        assert labelled.any() and np.array_equal(truth.tiles[1].image[labelled], prediction.tiles[1].image[labelled])
        assert np.array_equal(truth.tiles[2].image, prediction.tiles[2].image) and prediction.tiles[0] is None
    near, far = sheet.bar[1:3]
    assert np.array_equal(sheet.rows[0].tiles[2].image, colour_depth(photos.truth[0]["depth"], (near, far)))
    assert {name for name, _ in sheet.legend} == {"wall", "floor"}


def test_pascal_has_its_own_tasks(archive):
    photos = data_photos("pascal5", archive, "train")

    def perfect(images):
        for truth in photos.truth:
            signs = {task: np.where(truth[task] == 1, 9.0, -9.0)[..., None] for task in ("sal", "edge")}
            yield {
                "semseg": 9.0 * (truth["semseg"][..., None] == np.arange(21)),
                "normals": truth["normals"],
                "human_parts": 9.0 * (truth["human_parts"][..., None] == np.arange(7)),
                **signs,
            }

    sheet, figures = comparison.build([comparison.Entrant("perfect", (32, 64), perfect, "pascal5")], photos, quiet=True)
    assert sheet.columns == ["photo", "segmentation", "surface normals", "edges", "human parts", "saliency"]
    assert {name for name, _ in sheet.legend} == {"background", "person", "dog"} and sheet.bar is None
    for truth, prediction in (sheet.rows[:2], sheet.rows[2:]):
        for column in (1, 3, 4, 5):
            difference = np.abs(truth.tiles[column].image.astype(int) - prediction.tiles[column].image)
            assert difference.max() <= 1 and truth.tiles[column].image.std() > 0
    assert {name for *_, name, _ in figures} == {"pixel_accuracy", "normals_degrees", "edge_f"}
    nyud = comparison.Entrant("nyud", (32, 64), perfect)
    with pytest.raises(InputError, match="different data sets"):
        comparison.check_one_family([nyud, comparison.Entrant("perfect", (32, 64), perfect, "pascal5")])


def test_compare_command_with_the_cpp_library(checkpoints, tmp_path, monkeypatch):
    built = Path(os.environ.get("BIMTDP_VERIFY_MODEL", "/nonexistent")).with_name("predict_maps")
    if built.is_file():  # the C++ build made it already
        monkeypatch.setenv("BIMTDP_PREDICT_MAPS", str(built))
    run(
        "compare",
        MODEL,
        checkpoints["mti_net"],
        "--photos",
        PHOTOS / "office.jpg",
        "--size",
        96,
        128,
        "--output",
        tmp_path / "sheet",
    )
    settings = json.loads((tmp_path / "sheet.json").read_text())
    assert list(settings["networks"]) == ["bi_mtdp_c_lite0_nyud4 (C++)", "mti_net"]
    assert settings["photos"] == ["office"] and not (tmp_path / "sheet.csv").exists()
    assert re.search(r"\bwall\b", svg_text(tmp_path / "sheet.svg"))  # the trained network finds the office's walls
