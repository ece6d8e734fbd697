# SPDX-License-Identifier: Apache-2.0
"""Configurations that build on others."""

import pytest
import torch
import yaml
from conftest import REPOSITORY

from bimtdp_torch.configuration import dump_config, read_config
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.results.table import read_layout
from bimtdp_torch.sources import read_state_dict
from bimtdp_torch.training.initialisation import initialise_from
from bimtdp_torch.training.settings import resolve


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_later_files_win_key_by_key(tmp_path):
    write(tmp_path, "common/data.yaml", "name: data\ntrain: {lr: 1.0e-3, seed: 1, phases: [{steps: 5}, {steps: 6}]}\n")
    write(tmp_path, "common/w18.yaml", "base: data.yaml\nnetwork: {backbone: hrnet_w18}\n")
    write(tmp_path, "common/fast.yaml", "train: {lr: 2.0e-3}\n")
    row = write(
        tmp_path,
        "row.yaml",
        "base: [common/w18.yaml, common/fast.yaml]\nnetwork: {name: bi_mtdp}\ntrain: {seed: null, phases: [{steps: 7}]}\n",
    )
    expected = {
        "name": "row",
        "network": {"backbone": "hrnet_w18", "name": "bi_mtdp"},
        "train": {"lr": 2e-3, "seed": None, "phases": [{"steps": 7}]},
    }
    assert read_config(row) == expected
    assert yaml.safe_load(dump_config(read_config(row))) == expected


def test_refusals_name_the_file(tmp_path):
    with pytest.raises(ValueError, match="missing.yaml: no such configuration .base of row.yaml"):
        read_config(write(tmp_path, "row.yaml", "base: missing.yaml\n"))
    write(tmp_path, "a.yaml", "base: b.yaml\n")
    with pytest.raises(ValueError, match="leads back.*a.yaml -> b.yaml -> a.yaml"):
        read_config(write(tmp_path, "b.yaml", "base: a.yaml\n").with_name("a.yaml"))
    with pytest.raises(ValueError, match="list.yaml: a configuration is a mapping, got list"):
        read_config(write(tmp_path, "list.yaml", "[1, 2]\n"))


@pytest.mark.parametrize("path", sorted((REPOSITORY / "scripts" / "configs").glob("**/*.yaml")), ids=lambda p: p.stem)
def test_every_configuration_resolves(path):
    assert "base" not in read_config(path)


ROWS = sorted((REPOSITORY / "scripts" / "configs" / "nyud").glob("*.yaml"))
PASCAL = sorted((REPOSITORY / "scripts" / "configs" / "pascal").glob("*.yaml"))


def test_rows_of_one_table_see_the_same_photos():
    seen = {}
    for path in ROWS:
        config = resolve(read_config(path))
        phases, table = config["train"]["phases"], "trials" if path.stem.startswith("trial_") else config["network"]["backbone"]
        seen.setdefault(table, set()).add((tuple((*p["size"], p["batch"], p["steps"]) for p in phases), config["train"]["seed"]))
    assert set(seen) == {"hrnet_w18", "efficientnet_lite0", "trials"} and all(len(recipes) == 1 for recipes in seen.values())


def test_the_table_has_exactly_the_configurations():
    tables = read_layout(REPOSITORY / "scripts" / "results" / "nyud" / "rows.yaml")
    runs = [run for table in tables for row in table["rows"] for run in row["runs"]]
    assert sorted(runs) == [path.stem for path in ROWS]


@pytest.mark.parametrize(
    "path", [p for p in ROWS + PASCAL if not p.stem.endswith(("_normals", "_edge", "_depth"))], ids=lambda p: p.stem
)
def test_every_row_builds(path):
    with torch.device("meta"):
        network = build_network(resolve(read_config(path))["network"])
    assert set(network.tasks) <= {"semseg", "human_parts", "sal", "normals", "edge", "depth"}


@pytest.mark.parametrize("row", ["bi_mtdp_w18", "mti_net_w18"])
def test_backbones_that_come_with_the_scripts_fit(row):
    config = resolve(read_config(REPOSITORY / "scripts" / "configs" / "nyud" / f"{row}.yaml"))
    network = build_network(config["network"])
    found = initialise_from(network, read_state_dict(REPOSITORY / config["init"]["checkpoint"]))
    assert set(found.used) == {key for key in network.state_dict() if key.startswith("backbone.")} and not found.ignored
