# SPDX-License-Identifier: Apache-2.0
"""Figures as PNG and SVG, and the numbers beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, List, Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from ..files import whole_file, write_text

STYLE = {
    "svg.hashsalt": "bimtdp",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "figure.titlesize": 12,
    "legend.frameon": False,
}


def new_figure(*arguments: Any, **options: Any):
    """``pyplot.subplots`` in our style; close the figure with ``save_figure``."""
    plt.rcParams.update(STYLE)
    return plt.subplots(*arguments, **options)


def save_figure(figure, stem: Path, dpi: int = 150) -> List[Path]:
    """Writes ``stem``.png and ``stem``.svg (the same bytes for the same figure) and closes the figure."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.parent / f"{stem.name}.png", stem.parent / f"{stem.name}.svg"]
    for path, options in zip(paths, ({}, {"metadata": {"Date": None}})):
        with whole_file(path) as temporary:
            figure.savefig(temporary, dpi=dpi, facecolor="white", **options)
    plt.close(figure)
    return paths


def save_json(path: Path, values: Mapping[str, Any]) -> Path:
    """Indented, with non-ASCII letters as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    return path


def save_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Floats are written with six significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows])
    return path
