# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: a grid of pictures with captions, blocks of rows, a legend of classes and a colour bar."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Patch

from .inputs import InputError
from .output import new_figure

MOST_ROWS = 250  # a picture may not be higher than 65535 pixels
TILE_WIDTH, CAPTION, GAP = 1.9, 0.17, 0.16  # inches
_LEGEND_ROW = 0.19


@dataclass
class Tile:
    """A picture (H, W, 3) uint8, words below it, and a region to outline."""

    image: np.ndarray
    caption: str = ""
    outline: Optional[np.ndarray] = None  # (H, W) bool


@dataclass
class Row:
    """One line of the sheet; None leaves a place empty. ``first``: a new block begins, with a gap before it."""

    label: str
    tiles: List[Optional[Tile]]
    first: bool = False


@dataclass
class Sheet:
    """All of a sheet but where it is drawn."""

    title: str
    columns: List[str]
    rows: List[Row] = field(default_factory=list)
    legend: List[Tuple[str, Tuple[float, ...]]] = field(default_factory=list)  # (name, colour)
    bar: Optional[Tuple[Colormap, float, float, str]] = None  # colours, least, largest, label


def _draw_tile(axes, tile: Tile) -> None:
    axes.imshow(tile.image, interpolation="nearest" if tile.image.shape[1] < 60 else "antialiased")
    if tile.outline is not None and tile.outline.any() and not tile.outline.all():
        axes.contour(tile.outline.astype(float), [0.5], colors="white", linewidths=0.9)
    if tile.caption:
        axes.set_xlabel(tile.caption, fontsize=7, labelpad=2)


def _draw_row(figure, sheet: Sheet, row: Row, top: float, place: Tuple[float, float, float, float]) -> None:
    left, tile_height, width, height = place
    for column, tile in enumerate(row.tiles):
        if tile is None:
            continue
        x = left + column * (TILE_WIDTH + 0.05)
        axes = figure.add_axes((x / width, 1 - (top + tile_height) / height, TILE_WIDTH / width, tile_height / height))
        _draw_tile(axes, tile)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if row is sheet.rows[0]:
            axes.set_title(sheet.columns[column], fontsize=9, pad=4)
    figure.text(
        (left - 0.08) / width,
        1 - (top + tile_height / 2) / height,
        row.label,
        rotation=90,
        ha="right",
        va="center",
        fontsize=7.5,
        linespacing=1.1,
    )


def _draw_below(figure, sheet: Sheet, y: float, width: float, height: float, columns: int) -> None:
    if sheet.legend:
        handles = [Patch(facecolor=colour, label=name) for name, colour in sheet.legend]
        figure.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - y / height),
            ncols=columns,
            fontsize=7,
            handlelength=1.2,
            handleheight=1.0,
            columnspacing=1.2,
        )
        y += _LEGEND_ROW * -(-len(sheet.legend) // columns) + 0.15
    if sheet.bar:
        colours, least, largest, label = sheet.bar
        axes = figure.add_axes((0.3, 1 - (y + 0.22) / height, 0.4, 0.11 / height))
        figure.colorbar(ScalarMappable(Normalize(least, largest), colours), cax=axes, orientation="horizontal", label=label)
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_size(7.5)


def draw(sheet: Sheet):
    """The sheet as a figure of the size that it needs."""
    if not sheet.rows:
        raise ValueError("a contact sheet without rows")
    first = next(t for row in sheet.rows for t in row.tiles if t is not None).image
    tile_height = TILE_WIDTH * first.shape[0] / first.shape[1]
    left, count = 0.45, max(len(row.tiles) for row in sheet.rows)
    width = left + count * (TILE_WIDTH + 0.05) + 0.05
    title = textwrap.fill(sheet.title, max(20, int(width * 10)))
    tops, y = [], 0.42 + 0.18 * (1 + title.count("\n"))
    for index, row in enumerate(sheet.rows):
        y += GAP if row.first and index else 0
        tops.append(y)
        y += tile_height + (CAPTION if any(t is not None and t.caption for t in row.tiles) else 0.05)
    legend_columns = max(1, int(width / 1.3))
    legend = _LEGEND_ROW * -(-len(sheet.legend) // legend_columns) + 0.15 if sheet.legend else 0
    height = y + legend + (0.6 if sheet.bar else 0) + 0.1
    figure, axes = new_figure(figsize=(width, height))
    axes.remove()
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    for row, top in zip(sheet.rows, tops):
        _draw_row(figure, sheet, row, top, (left, tile_height, width, height))
    _draw_below(figure, sheet, y + 0.05, width, height, legend_columns)
    return figure


def check_rows(count: int) -> None:
    """Says no before the work is done."""
    if count > MOST_ROWS:
        raise InputError(f"a contact sheet of {count} rows: at most {MOST_ROWS}, take fewer photos (--count)")


def wrapped(text: str, width: int = 16) -> str:
    """Long names of networks over two lines, broken at _, -, / or a blank."""
    if len(text) <= width:
        return text
    for offset in range(len(text) // 2):
        for place in (len(text) // 2 + offset, len(text) // 2 - offset):
            if 0 < place < len(text) and text[place - 1] in "_-/ ":
                return text[:place].rstrip() + "\n" + text[place:]
    return text


def blend(photo: np.ndarray, heat: np.ndarray, colours: Colormap, strength: float = 0.75) -> np.ndarray:
    """(H, W, 3) uint8: the photo in grey under a (H, W) map in 0..1, stronger where the map is larger."""
    grey = photo @ np.array([0.299, 0.587, 0.114])
    dark, light = np.percentile(grey, (1, 99))
    grey = 215 * np.clip((grey - dark) / max(light - dark, 1.0), 0, 1)[..., None]  # dark photos stay recognisable
    alpha = strength * np.clip(0.15 + 0.85 * heat, 0, 1)[..., None]
    return np.clip((1 - alpha) * grey + alpha * colours(heat)[..., :3] * 255, 0, 255).astype(np.uint8)


def tile_names(names: Sequence[str]) -> List[str]:
    """Headings of task columns."""
    words = {
        "semseg": "segmentation",
        "normals": "surface normals",
        "edge": "edges",
        "sal": "saliency",
        "human_parts": "human parts",
    }
    return [words.get(name, name) for name in names]
