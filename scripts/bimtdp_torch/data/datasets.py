# SPDX-License-Identifier: Apache-2.0
"""Which data a network section means (``dataset``), and one way to read, batch and label both data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from . import nyud, pascal, pascal_samples
from .checks import refuse
from .nyud import Frames, TeacherMaps
from .pascal import PascalFrames
from .samples import valid_pixels

AnyFrames = Union[Frames, PascalFrames]


def data_family(dataset: str) -> str:
    """``nyud`` or ``pascal``, from the name of a set of tasks (nyud4, pascal_small ..)."""
    for family in ("nyud", "pascal"):
        if dataset.startswith(family):
            return family
    raise ValueError(f"network.dataset: no data is known for {dataset!r}; its name begins with nyud or pascal")


def read_list(dataset: str, root: Path, name: str) -> List[str]:
    """Frame ids of ``train`` or ``test``."""
    return (pascal if data_family(dataset) == "pascal" else nyud).read_list(Path(root), name)


def load_frames(dataset: str, root: Path, ids: Sequence[str], tasks: Optional[Sequence[str]] = None) -> AnyFrames:
    """One part of ``load_parts``."""
    return load_parts(dataset, root, [ids], tasks)[0]


def load_parts(dataset: str, root: Path, parts: Sequence[Sequence[str]], tasks: Optional[Sequence[str]] = None) -> List[AnyFrames]:
    """NYUD's frames in memory, or PASCAL's to be read on demand with the labels of ``tasks`` (default: all five).

    First every file of all parts is looked at. DataError: what is wrong with them, all of it.
    """
    root, every = Path(root), [i for ids in parts for i in ids]
    if data_family(dataset) == "pascal":
        tasks = tuple(tasks or ("semseg", "human_parts", "sal", "normals", "edge"))
        pascal.check_frames(root, every, tasks)
        return [PascalFrames(root, list(ids), tasks) for ids in parts]
    nyud.check_frames(root, every)
    return [nyud.load_frames(root, ids) for ids in parts]


def split_list(dataset: str, root: Path, every: int) -> Tuple[List[str], List[str]]:
    """(training, validation) of the list ``train``: see ``nyud.split_validation``. ValueError: validation is asked for
    (``every`` > 0), but the list is too short for it."""
    ids = read_list(dataset, root, "train")
    training, validation = nyud.split_validation(ids, every)
    if every > 0 and not validation:
        least, largest = nyud.RUN * (every - 1) + 1, (len(ids) - 1) // nyud.RUN + 1
        remedy = f"at most {largest}, or 0" if largest > 1 else "0"
        raise ValueError(
            f"train.validation_every: {every} leaves no frames for validation: {root} lists {len(ids)} training frames, expected "
            f"at least {least}; set it to {remedy} to train without validation"
        )
    return training, validation


def make_batch(
    frames: AnyFrames,
    seed: int,
    step: int,
    batch: int,
    size: Tuple[int, int],
    max_zoom: float,
    colour: float,
    teacher: Optional[TeacherMaps] = None,
    part: slice = slice(None),
    image_size: Optional[Tuple[int, int]] = None,
) -> Dict[str, Tensor]:
    """The batch of one step, its image perhaps at another size than the labels. ``max_zoom`` and ``teacher`` (maps of
    whole photos) are NYUD's; PASCAL is turned and scaled as MTI-Net does."""
    if isinstance(frames, Frames):
        return nyud.make_batch(frames, seed, step, batch, size, max_zoom, colour, teacher, part, image_size)
    if teacher is not None:
        raise ValueError("maps of a teacher that were computed beforehand cannot follow PASCAL's rotations")
    return pascal_samples.make_batch(frames, seed, step, batch, size, colour, part, image_size)


def check_known(frames: AnyFrames, tasks: Sequence[str]) -> None:
    """DataError: a task of which NYUD's frames know not a pixel, which could be neither trained nor scored."""
    labels = {"semseg": "label", "depth": "depth"}
    if isinstance(frames, Frames):
        refuse(
            f"{len(frames.ids)} frames from {frames.ids[0]} on: not a pixel of {task} is known in them (folder {labels[task]})"
            for task in tasks
            if task in labels and not any(valid_pixels(task, truth).any() for truth in getattr(frames, labels[task]))
        )


class Scored(NamedTuple):
    """What of a photo is compared: its pixels, the labels in the scored part, and where that part is in a map."""

    photo: Tensor  # (3, H, W) uint8
    truth: Dict[str, np.ndarray]
    window: Tuple[slice, slice]


def nyud_truth(frames: Frames, index: int) -> Dict[str, np.ndarray]:
    """Labels of a whole frame, of which the scored window is a part."""
    return {
        "semseg": frames.label[index, 0].numpy(),
        "depth": frames.depth[index, 0].numpy(),
        "normals": nyud.decode_normals(frames.normal[index]).permute(1, 2, 0).numpy(),
        "edge": frames.edge[index, 0].numpy().astype(bool),
    }


def _scored_nyud(frames: Frames, index: int) -> Scored:
    window = tuple(
        slice(scored[0] - inner[0], scored[1] - inner[0])
        for scored, inner in ((nyud.SCORED_ROWS, nyud.INNER_ROWS), (nyud.SCORED_COLUMNS, nyud.INNER_COLUMNS))
    )
    truth = {task: values[window] for task, values in nyud_truth(frames, index).items()}
    return Scored(frames.image[index], truth, window)


def scored(frames: AnyFrames, index: int) -> Scored:
    """NYUD: the usual crop of the inner part; PASCAL: the whole photo at its own size."""
    if isinstance(frames, Frames):
        return _scored_nyud(frames, index)
    truth = pascal.read_frame(frames, index)
    photo = torch.from_numpy(truth.pop("image").copy()).permute(2, 0, 1)
    return Scored(photo, truth, (slice(None), slice(None)))


def class_names(dataset: str) -> Tuple[str, ...]:
    """Names of the segmentation's classes."""
    return pascal.CLASS_NAMES if data_family(dataset) == "pascal" else nyud.CLASS_NAMES


def dataset_of(config: Mapping[str, Any]) -> str:
    """``network.dataset`` of a configuration."""
    return str(config["network"]["dataset"])


def dataset_of_tasks(tasks: Sequence[str]) -> str:
    """A name of the data for a converted model, which knows its tasks only."""
    return "pascal5" if {"human_parts", "sal"} & set(tasks) else "nyud4"
