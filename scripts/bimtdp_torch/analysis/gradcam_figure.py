# SPDX-License-Identifier: Apache-2.0
"""The Grad-CAM command's figure and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from matplotlib import colormaps
from tqdm import tqdm

from .gradcam import CLASS_TASKS, Cam, grad_cam
from .inputs import Network, Photos
from .output import save_csv, save_figure, save_json
from .sheet import Row, Sheet, Tile, blend, check_rows, draw, tile_names, wrapped

_COLOURS = "inferno"  # brighter is more, for every kind of colour vision


def _tile(photo: np.ndarray, task: str, cam: Cam, names: Sequence[str]) -> Tile:
    outline = None
    if task in CLASS_TASKS and cam.target in list(names):
        outline = cam.prediction.argmax(-1) == list(names).index(cam.target)
    caption = cam.target if cam.peak > 0 else f"{cam.target}: no positive evidence"
    return Tile(blend(photo, cam.map, colormaps[_COLOURS]), caption, outline)


def build(
    networks: Sequence[Network],
    photos: Photos,
    sizes: Sequence[Tuple[int, int]],
    scale: int,
    tasks: Sequence[str],
    target: Optional[str] = None,
    quiet: bool = False,
) -> Tuple[Sheet, List[List[Any]]]:
    """(sheet of photos x networks, all tasks; rows of numbers). ``target``: the segmentation's class."""
    check_rows(len(photos) * len(networks))
    baselines = [n.name for n in networks if not n.distils]
    words = f" (of {', '.join(baselines)}: the backbone's)" if baselines else ""
    sheet = Sheet(
        f"Grad-CAM on the features behind the distillation, scale {scale}{words}",
        ["photo"] + tile_names(tasks),
        bar=(colormaps[_COLOURS], 0, 1, "weight of the place, of the map's largest"),
    )
    rows: List[List[Any]] = []
    for index, name in enumerate(tqdm(photos.names, desc="Grad-CAM", unit="photo", disable=quiet, dynamic_ncols=True)):
        for n, (network, size) in enumerate(zip(networks, sizes)):
            photo = photos.at(size, [index])[0]
            has = [t for t in tasks if t in network.tasks]
            wanted = network.classes.index(target) if target in network.classes else None
            cams: Dict[str, Cam] = grad_cam(network, photo, scale, has, wanted)
            tiles = [Tile(photo, name) if n == 0 else None]
            tiles += [_tile(photo, t, cams[t], network.classes) if t in cams else None for t in tasks]
            sheet.rows.append(Row(wrapped(network.name), tiles, first=n == 0))
            rows += [[name, network.name, t, c.target, c.score, c.peak, c.live] for t, c in cams.items()]
    return sheet, rows


def write(stem: Path, sheet: Sheet, rows: Sequence[Sequence[Any]], settings: Dict[str, Any]) -> List[Path]:
    """``stem``.png, .svg, .csv (score, peak and gradient of every map) and .json (settings)."""
    paths = save_figure(draw(sheet), stem)
    header = ["photo", "network", "task", "target", "score", "peak", "features with a gradient"]
    paths.append(save_csv(stem.parent / f"{stem.name}.csv", header, rows))
    return paths + [save_json(stem.parent / f"{stem.name}.json", settings)]
