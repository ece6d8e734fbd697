# SPDX-License-Identifier: Apache-2.0
"""Photos x networks, all tasks: predictions beside each other and beside the ground truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from ..data.datasets import class_names, data_family, dataset_of_tasks
from ..data.samples import valid_pixels
from ..metrics import DepthMeter, EdgeMeter, NormalsMeter, SegmentationMeter, sigmoid
from ..metrics.cpp_predictor import cpp_predictor, model_tasks, preferred_size
from ..metrics.evaluation import Predictor, to_label_size, torch_predictor
from ..networks.options import DATASETS
from ..networks.predictor import check_size
from .colours import DEPTH, palette, picture, truth_picture
from .inputs import InputError, Photos, distinct_names, load_network, split_name
from .output import save_csv, save_figure, save_json
from .sheet import Row, Sheet, Tile, check_rows, draw, tile_names, wrapped

TASK_ORDER = tuple(dict.fromkeys(task for tasks, _ in DATASETS.values() for task in tasks))
GROUND_TRUTH = "ground truth"


@dataclass
class Entrant:
    """A network of the sheet: a checkpoint in PyTorch or a converted model in the C++ library."""

    name: str
    size: Tuple[int, int]
    predictor: Predictor
    dataset: str = "nyud4"

    @property
    def classes(self) -> Tuple[str, ...]:
        """Names of the segmentation's classes."""
        return class_names(self.dataset)


def load_entrant(argument: str, size: Optional[Tuple[int, int]] = None, batch: int = 4) -> Entrant:
    """Entrant of ``[NAME=]FILE``; ``size`` overrides the one that the file names."""
    name, path = split_name(argument)
    if path.suffix != ".safetensors":
        network = load_network(argument)
        size = check_size(size or network.size, "--size")
        return Entrant(network.name, size, torch_predictor(network.module, batch), network.dataset)
    if not path.is_file():
        raise InputError(f"{path}: no such model")
    size = size or preferred_size(path)
    return Entrant(name or f"{path.stem} (C++)", size, cpp_predictor(path, size), dataset_of_tasks(model_tasks(path)))


def check_one_family(entrants: Sequence[Entrant]) -> None:
    """Classes of different data sets cannot share colours and a ground truth."""
    if len({data_family(e.dataset) for e in entrants}) > 1:
        raise InputError(
            "networks of different data sets have no sheet in common: " + ", ".join(f"{e.name} ({e.dataset})" for e in entrants)
        )


def load_entrants(arguments: Sequence[str], size: Optional[Tuple[int, int]] = None, batch: int = 4) -> List[Entrant]:
    """All of a command line's; names that appear twice get numbers."""
    entrants = [load_entrant(argument, size, batch) for argument in arguments]
    check_one_family(entrants)
    for entrant, name in zip(entrants, distinct_names([e.name for e in entrants])):
        entrant.name = name
    return entrants


# task -> (name of the figure, caption) of one photo against its ground truth
_CAPTIONS: Dict[str, Tuple[str, str]] = {
    "semseg": ("pixel_accuracy", "{:.0f} % of pixels right"),
    "depth": ("rmse", "RMSE {:.2f} m"),
    "normals": ("normals_degrees", "{:.0f} degrees off"),
    "edge": ("edge_f", "F {:.2f}"),
}


def photo_figure(task: str, prediction: np.ndarray, truth: np.ndarray, classes: int) -> Optional[float]:
    """The task's figure for one photo, None where it has no ground truth to count or the task no figure."""
    if task == "semseg":
        meter: Any = SegmentationMeter(classes)
        meter.update(prediction[..., :classes].argmax(-1), truth)
    elif task not in _CAPTIONS:
        return None
    elif task == "edge":
        meter = EdgeMeter()
        meter.update(sigmoid(prediction[..., 0]), truth)
    else:
        meter = {"depth": DepthMeter, "normals": NormalsMeter}[task]()
        meter.update(prediction if task == "normals" else prediction[..., 0], truth)
    figure = float(meter.result()[_CAPTIONS[task][0]])
    return figure if math.isfinite(figure) else None


@dataclass
class Predictions:
    """Entrant -> photo -> task -> (h, w, C) map at the photo's size, and the tasks in order."""

    maps: List[List[Dict[str, np.ndarray]]]
    tasks: List[str]


def predict(entrants: Sequence[Entrant], photos: Photos, quiet: bool = False) -> Predictions:
    """Every entrant on every photo, at the entrant's size; maps are resized to the photo's."""
    maps: List[List[Dict[str, np.ndarray]]] = []
    for entrant in entrants:
        found = tqdm(
            entrant.predictor(photos.at(entrant.size)),
            total=len(photos),
            desc=entrant.name,
            unit="photo",
            disable=quiet,
            dynamic_ncols=True,
        )
        maps.append(
            [{task: to_label_size(m, image.shape[:2]) for task, m in each.items()} for each, image in zip(found, photos.images)]
        )
    seen = {task for network in maps for photo in network for task in photo}
    return Predictions(maps, [t for t in TASK_ORDER if t in seen] + sorted(seen - set(TASK_ORDER)))


def known_depth_limits(predictions: Sequence[Sequence[Mapping[str, np.ndarray]]], photos: Photos) -> Tuple[float, float]:
    """Near and far of what is known in all depth maps of the sheet, but the outermost per cent."""
    maps = [m["depth"][..., 0] for network in predictions for m in network if "depth" in m]
    maps += [t["depth"][valid_pixels("depth", t["depth"])] for t in photos.truth if "depth" in t]
    values = np.concatenate([np.zeros(0, np.float32), *(m.ravel()[::7] for m in maps)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    near, far = np.percentile(values, (1, 99))
    return float(near), float(max(far, near + 1e-3))


def _class_count(predictions: Predictions, entrants: Sequence[Entrant]) -> int:
    """Classes that labels and networks know: NYUD's label 39 says unknown, though some networks have 40 outputs."""
    outputs = [m["semseg"].shape[-1] for maps in predictions.maps for m in maps if "semseg" in m]
    return min([len(entrants[0].classes)] + outputs)


def _legend(pictures: Sequence[np.ndarray], classes: int, names: Sequence[str], most: int = 24):
    """Colours of the classes seen, the largest first."""
    counts = np.zeros(classes, np.int64)
    for labels in pictures:
        counts += np.bincount(labels[labels < classes].ravel(), minlength=classes)[:classes]
    colours = palette(classes) / 255
    order = [int(c) for c in np.argsort(-counts, kind="stable")[:most] if counts[c] > 0]
    return [(names[c] if c < len(names) else f"class {c}", tuple(colours[c])) for c in order]


def build(entrants: Sequence[Entrant], photos: Photos, quiet: bool = False) -> Tuple[Sheet, List[List[Any]]]:
    """(the contact sheet, rows of figures: photo, network, task, figure, value)."""
    check_rows(len(photos) * (len(entrants) + bool(photos.truth)))
    predictions = predict(entrants, photos, quiet)
    tasks, classes = predictions.tasks, _class_count(predictions, entrants)
    limits = known_depth_limits(predictions.maps, photos)
    sheet = Sheet(
        f"{len(entrants)} network{'s' * (len(entrants) > 1)} on {len(photos)} photo{'s' * (len(photos) > 1)}",
        ["photo"] + tile_names(tasks),
    )
    figures: List[List[Any]] = []
    for index, name in enumerate(photos.names):
        truth = photos.truth[index] if photos.truth else {}
        window = photos.windows[index] if photos.truth else (slice(None), slice(None))
        photo = Tile(photos.images[index], name)
        block: List[Row] = []
        if truth:
            block.append(
                Row(
                    GROUND_TRUTH,
                    [photo] + [Tile(truth_picture(t, truth[t], limits, classes)) if t in truth else None for t in tasks],
                )
            )
        for entrant, maps in zip(entrants, predictions.maps):
            tiles: List[Optional[Tile]] = [None if block else photo]
            for task in tasks:
                tiles.append(_prediction_tile(task, maps[index], truth, limits, classes, (name, entrant.name), figures, window))
            block.append(Row(wrapped(entrant.name), tiles))
        block[0].first = True
        sheet.rows += block
    labels = [m["semseg"].argmax(-1) for maps in predictions.maps for m in maps if "semseg" in m]
    labels += [t["semseg"] for t in photos.truth if "semseg" in t and "semseg" in tasks]
    if labels:
        sheet.legend = _legend(labels, classes, entrants[0].classes)
    if "depth" in tasks:
        sheet.bar = (DEPTH, *limits, "depth, metres")
    return sheet, figures


def _prediction_tile(
    task: str,
    maps: Dict[str, np.ndarray],
    truth: Dict[str, np.ndarray],
    limits: Tuple[float, float],
    classes: int,
    key: Tuple[str, str],
    figures: List[List[Any]],
    window: Tuple[slice, slice],
) -> Optional[Tile]:
    if task not in maps:
        return None
    caption = ""
    if task in truth:
        value = photo_figure(task, maps[task][window], truth[task][window], classes)
        if value is not None:
            caption = _CAPTIONS[task][1].format(value)
            figures.append([*key, task, _CAPTIONS[task][0], value])
    return Tile(picture(task, maps[task], limits, classes if task == "semseg" else None), caption)


def write(stem: Path, sheet: Sheet, figures: Sequence[Sequence[Any]], settings: Dict[str, Any]) -> List[Path]:
    """``stem``.png, .svg and .json (settings); with ground truth .csv (every photo's figures)."""
    paths = save_figure(draw(sheet), stem)
    if figures:
        header = ["photo", "network", "task", "figure", "value"]
        paths.append(save_csv(stem.parent / f"{stem.name}.csv", header, figures))
    return paths + [save_json(stem.parent / f"{stem.name}.json", settings)]
