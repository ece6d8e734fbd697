# SPDX-License-Identifier: Apache-2.0
"""Records of runs and the table that is made from them."""

import csv
import io
import json
import sys

import pytest
import torch
import yaml
from conftest import REPOSITORY

from bimtdp_torch.networks.build import build_network
from bimtdp_torch.programs import built_program
from bimtdp_torch.results import plan, record, table

import evaluate
import results

LAYOUT = """
title: Nets
reference: single
rows:
  - {id: single, title: "single task", runs: [one_semseg, one_depth]}
  - {title: joint, runs: [joint]}
  - {title: untrained, runs: [untrained]}
  - {title: edges too, runs: [edges]}
"""


def fake(tasks, metrics, **changes):
    return {
        "row": "x",
        "seed": 1,
        "steps": 10,
        "photos": 80,
        "tasks": tasks,
        "metrics": metrics,
        "counts": {"parameters": 2_000_000, "binary_parameters": 0, "macs": 3_000_000_000, "bops": 64_000_000_000},
        "file": {"bytes": 1_500_000},
        "time": {"milliseconds": 20.0, "cpu": "A CPU", "tier": "avx2"},
        **changes,
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rows.yaml").write_text(LAYOUT)
    for name, made in {
        "one_semseg": fake(["semseg"], {"miou": 40.0}),
        "one_depth": fake(["depth"], {"rmse": 0.5}, time=None),
        "joint": fake(["semseg", "depth"], {"miou": 43.0, "rmse": 0.55}),
        "joint_seed2": fake(["semseg", "depth"], {"miou": 45.0, "rmse": 0.45}),
        "edges": fake(["semseg", "edge"], {"miou": 10.0, "odsf": 60.0}),
    }.items():
        record.write_record(made, tmp_path / f"{name}.json")
    return tmp_path


def cells(text, title):
    line = next(line for line in text.splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table(folder):
    text = table.full_markdown(table.tables(table.read_layout(folder / "rows.yaml"), record.read_records(folder)))
    assert cells(text, "network") == [
        "network",
        "mIoU, %",
        "RMSE, m",
        "odsF, %",
        "Delta_MTL, %",
        "parameters, M",
        "file, MB",
        "GMAC",
        "GBOP",
        "time, ms",
    ]
    # The networks of a set are added up; without all times there is none.
    assert cells(text, "single") == ["single task", "40.00", "0.5000", "-", "+0.0", "4.00", "3.00", "6.00", "128", "-"]
    # Means 44 and 0.5 of two seeds: +10 % and 0 %.
    assert cells(text, "joint") == [
        "joint (2 seeds)",
        "44.00 ± 1.41",
        "0.5000 ± 0.0707",
        "-",
        "+5.0",
        "2.00",
        "1.50",
        "3.00",
        "64.0",
        "20.0",
    ]
    assert cells(text, "edges")[3:5] == ["60.00", "-"]  # the reference has no edges
    assert "untrained" not in text and text.startswith("**Nets** (time: A CPU, avx2)\n")


def test_csv_and_notes(folder):
    layout, records = table.read_layout(folder / "rows.yaml"), record.read_records(folder)
    lines = list(csv.DictReader(io.StringIO(table.to_csv(table.tables(layout, records)))))
    assert [line["network"] for line in lines] == ["single task", "joint", "edges too"]
    assert float(lines[1]["miou"]) == 44 and float(lines[1]["miou_deviation"]) == pytest.approx(2**0.5, rel=1e-4)
    assert float(lines[1]["delta_mtl"]) == pytest.approx(5) and lines[2]["delta_mtl"] == ""
    assert table.unused_records(layout, {**records, "stray_seed3": {}}) == ["stray_seed3"]


@pytest.mark.parametrize("dataset", ["nyud", "pascal"])
def test_every_committed_row_has_its_configuration(dataset, tmp_path):
    scripts = REPOSITORY / "scripts"
    layout = table.read_layout(scripts / "results" / dataset / "rows.yaml")
    runs = {run for made in layout for row in made["rows"] for run in row["runs"]}
    lines = plan.commands(runs, (), (scripts / "configs" / dataset, scripts / "configs"), tmp_path)
    assert len([line for line in lines if "train.py" in line and "collect" in line]) == len(runs) > 5


def test_between_markers_only(tmp_path):
    document = tmp_path / "README.md"
    document.write_text("a\n<!-- results:nyud -->\nold\n<!-- /results:nyud -->\nb\n")
    for content in ("new \\1", "newer"):
        table.insert(document, {"nyud": content, "nyud_summary": "nowhere"})
        assert document.read_text() == f"a\n<!-- results:nyud -->\n{content}\n<!-- /results:nyud -->\nb\n"
    with pytest.raises(ValueError, match="README.md: has no markers"):
        table.insert(document, {"pascal": "x"})


def test_documents_and_csv_have_the_tables_of_the_records():
    folder = REPOSITORY / "scripts" / "results"
    layout, records = table.read_layout(folder / "nyud" / "rows.yaml"), record.read_records(folder / "nyud")
    made = table.tables(layout, records)
    for document, name, content in (
        (folder / "README.md", "nyud", table.full_markdown(made)),
        (REPOSITORY / "README.md", "nyud_summary", table.summary(layout, records)),
    ):
        assert f"<!-- results:{name} -->\n{content}\n<!-- /results:{name} -->" in document.read_text()
    assert (folder / "nyud" / "table.csv").read_text() == table.to_csv(made)


def test_summary_has_the_rows_that_ask_for_it(folder):
    (folder / "rows.yaml").write_text(LAYOUT.replace("title: joint,", "title: joint, summary: short,"))
    text = table.summary(table.read_layout(folder / "rows.yaml"), record.read_records(folder))
    assert text.splitlines() == [
        "| network (time: A CPU, avx2) | mIoU, % | RMSE, m | file, MB | time, ms |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| short (2 seeds) | 44.00 ± 1.41 | 0.5000 ± 0.0707 | 1.50 | 20.0 |",
    ]


def test_bad_files_are_named(folder):
    (folder / "broken.json").write_text("{")
    with pytest.raises(ValueError, match="broken.json: no record"):
        record.read_records(folder)
    (folder / "rows.yaml").write_text("title: a\nreference: b\nrows: []\n")
    with pytest.raises(ValueError, match="reference 'b' is no row's id"):
        table.read_layout(folder / "rows.yaml")


def test_what_is_left_to_do_comes_in_order(tmp_path):
    train = "train: {phases: [{size: [32, 32], batch: 1, steps: 1}]}\n"
    for name, text in {
        "pre": "train: {steps: 3}\n",
        "teacher": train + "init: {checkpoint: runs/pre/final.pt}\n",
        "student": train + "distillation: {teacher: runs/teacher/final.pt}\n",
        "other": train,
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)

    def names(runs, done):
        lines = plan.commands(runs, done, [tmp_path], tmp_path / "runs")
        return [(line.split()[1].split("/")[-1], line.split()[2].split("/")[-1], "collect" in line) for line in lines]

    assert names(["student", "teacher", "other"], []) == [
        ("pretrain.py", "pre.yaml", False),
        ("train.py", "teacher.yaml", True),
        ("train.py", "student.yaml", True),
        ("train.py", "other.yaml", True),
    ]
    # A needed checkpoint that has a record, but is not here, is trained again without another record.
    assert names(["student", "teacher"], ["teacher"])[1] == ("train.py", "teacher.yaml", False)
    (tmp_path / "runs" / "teacher").mkdir(parents=True)
    (tmp_path / "runs" / "teacher" / "final.pt").touch()
    assert names(["student", "teacher", "other"], ["other"]) == [
        ("train.py", "student.yaml", True),
        ("results.py", "collect", True),
    ]
    with pytest.raises(ValueError, match="no configuration absent.yaml"):
        names(["absent"], [])


def test_collect_and_table_commands(data_folder, tmp_path, monkeypatch, capsys):
    config = {
        "name": "one_semseg",
        "network": {
            "name": "single_task",
            "task": "semseg",
            "backbone": "efficientnet_lite0",
            "dataset": "nyud4",
            "segmentation_classes": 39,
        },
        "init": {"checkpoint": "/somewhere/runs/pretrained/final.pt"},
        "train": {"seed": 7, "phases": [{"size": [32, 64], "batch": 4, "steps": 3}, {"size": [64, 64], "batch": 2, "steps": 5}]},
    }
    run = tmp_path / "one_semseg"
    run.mkdir()
    torch.manual_seed(0)
    network = build_network(config["network"])
    with torch.no_grad():  # wall against floor: the others are not in the data
        network.heads_by_task()["semseg"].last_layer["3"].bias[2:] = -100
    torch.save({"config": config, "model": network.state_dict(), "step": 8, "precision": "bf16"}, run / "final.pt")
    (run / "losses.csv").write_text("step,total,photos_per_second\n4,2.0,10\n8,1.0,12\n")
    (tmp_path / "rows.yaml").write_text(LAYOUT)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["results.py", *map(str, arguments)])
        return results.main()

    programs = all(built_program(name) for name in ("predict_maps", "time_model"))  # else they take minutes to compile
    extra = ("--time", "--compare", 2) if programs else ()
    assert command("collect", run, "--data", data_folder, "--results", tmp_path, "--threads", 1, *extra) == 0
    text = (tmp_path / "one_semseg.json").read_text()
    made = json.loads(text)
    assert "/somewhere" not in text and made["config"]["init"]["checkpoint"] == "pretrained/final.pt"
    assert (made["seed"], made["steps"], made["photos"], made["tasks"]) == (7, 8, 22, ["semseg"])
    assert made["training"]["minutes"] == pytest.approx(22 / 12 / 60, rel=1e-5) and made["training"]["last_losses"]["total"] == 1.0
    assert made["training"]["precision"] == "bf16"
    assert made["evaluation"]["frames"] == 2 and made["evaluation"]["size"] == [64, 64]
    assert set(made["metrics"]) == {"miou", "pixel_accuracy"} and made["metrics"]["pixel_accuracy"] > 1
    assert 2 * made["counts"]["parameters"] < made["file"]["bytes"] < 2.2 * made["counts"]["parameters"]  # half precision
    if programs:
        assert command("time", "one_semseg", "--results", tmp_path) == 0 and "one_semseg:" in capsys.readouterr().out
        assert json.loads((tmp_path / "one_semseg.json").read_text()).keys() == made.keys()
        assert made["time"]["threads"] == 1 and made["time"]["milliseconds"] > 0
        record.model_file(run / "final.pt", tmp_path / "m.safetensors")
        monkeypatch.setattr(
            sys,
            "argv",
            ["evaluate.py", str(tmp_path / "m.safetensors"), "--data", str(data_folder), "--json", str(run / "scores.json")],
        )
        evaluate.main()
        scores = json.loads((run / "scores.json").read_text())
        assert (scores["engine"], scores["size"], scores["frames"]) == ("bimtdp", [64, 64], 2)
        assert scores["metrics"] == pytest.approx(made["engines"]["bimtdp"], rel=1e-5)
        assert made["engines"]["bimtdp"] == pytest.approx(made["engines"]["pytorch"], abs=0.1)
    document = tmp_path / "README.md"
    document.write_text("<!-- results:nyud -->\n<!-- /results:nyud -->\n")
    (tmp_path / "rows.yaml").write_text(yaml.safe_dump({"title": "t", "rows": [{"title": "one", "runs": ["one_semseg"]}]}))
    assert command("table", "--results", tmp_path, "--insert", document) == 0
    assert "| one |" in document.read_text() and (tmp_path / "table.csv").exists()
    (run / "final.pt").unlink()
    assert command("collect", run, "--data", data_folder) == 1
    assert "No such file" in capsys.readouterr().err
