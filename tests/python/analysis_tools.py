# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of analyze.py and compare.py: small checkpoints, calling the scripts, looking at figures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from bimtdp_torch.networks.build import build_network

REPOSITORY = Path(__file__).resolve().parents[2]
PHOTOS = REPOSITORY / "examples" / "photos"
_MADE: dict = {}


def settled(section: dict) -> torch.nn.Module:
    """A network of random weights whose batch normalisations have seen photos, so that no layer is dead."""
    torch.manual_seed(0)
    network = build_network(section)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        network(torch.randn(4, 3, 64, 64) + torch.randn(4, 3, 2, 2).repeat_interleave(32, 2).repeat_interleave(32, 3))
    return network.eval()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict:
    """Name -> checkpoint of a float and a binary network and of a baseline without distillation."""
    torch.set_num_threads(1)
    if _MADE:  # pytest makes an imported fixture once a module
        return _MADE
    folder, paths = tmp_path_factory.mktemp("checkpoints"), _MADE
    for name in ("mti_net", "bi_mtdp_c", "multi_task"):
        section = {"name": name, "backbone": "efficientnet_lite0", "dataset": "nyud4", "segmentation_classes": 39}
        network = settled(section)
        paths[name] = folder / f"{name}.pt"
        config = {"name": name, "network": section, "train": {"phases": [{"size": [64, 96]}]}}
        torch.save({"config": config, "model": network.state_dict(), "step": 0}, paths[name])
    return paths


def run(script: str, *arguments) -> None:
    """The script's main in this process (importing torch again would take longer than the work)."""
    spec = importlib.util.spec_from_file_location(script, REPOSITORY / "scripts" / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    old, sys.argv = sys.argv, [f"{script}.py", *map(str, arguments), "--threads", "1", "--quiet"]
    try:
        module.main()
    finally:
        sys.argv = old


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def has_colour(pixels: np.ndarray, colour) -> int:
    return int((pixels == np.asarray(colour, np.uint8)).all(-1).sum())


def svg_text(path: Path) -> str:
    return " ".join(ElementTree.parse(path).getroot().itertext())
