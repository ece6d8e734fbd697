# SPDX-License-Identifier: Apache-2.0
"""Configurations that build on others."""

import pytest
import yaml
from conftest import REPOSITORY

from bimtdp_torch.configuration import dump_config, read_config


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_later_files_win_key_by_key(tmp_path):
    write(tmp_path, "common/data.yaml", "name: data\ntrain: {lr: 1.0e-3, seed: 1, phases: [{steps: 5}, {steps: 6}]}\n")
    write(tmp_path, "common/w18.yaml", "base: data.yaml\nnetwork: {backbone: hrnet_w18}\n")
    write(tmp_path, "common/fast.yaml", "train: {lr: 2.0e-3}\n")
    row = write(tmp_path, "row.yaml",
                "base: [common/w18.yaml, common/fast.yaml]\nnetwork: {name: bi_mtdp}\ntrain: {seed: null, phases: [{steps: 7}]}\n")
    expected = {"name": "row", "network": {"backbone": "hrnet_w18", "name": "bi_mtdp"},
                "train": {"lr": 2e-3, "seed": None, "phases": [{"steps": 7}]}}
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
