# SPDX-License-Identifier: Apache-2.0
"""What the analyses take: networks from checkpoints, photos from a data set or a folder."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageOps
from torch import nn

from ..data.checks import DataError, naming
from ..data.datasets import class_names, dataset_of, load_frames, nyud_truth, read_list, scored
from ..data.nyud import Frames
from ..data.photo_files import read_photo
from ..data.photos import is_photo
from ..machine import add_thread_option
from ..networks.predictor import training_size
from ..sources import load_checkpoint

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp")


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what and where."""


@dataclass
class Network:
    """A checkpoint's network in evaluation mode and the name that figures show."""

    name: str
    config: Dict[str, Any]
    module: nn.Module

    @property
    def size(self) -> Tuple[int, int]:
        """(height, width) of its last training phase."""
        try:
            return training_size(self.config, self.name)
        except ValueError as error:
            raise InputError(str(error)) from error

    @property
    def tasks(self) -> Tuple[str, ...]:
        """Tasks that it predicts, in the data set's order."""
        return tuple(self.module.tasks)

    @property
    def distils(self) -> bool:
        """Whether it has distillation modules between tasks; baselines have none."""
        return any(name.startswith("distillation") for name, _ in self.module.named_children())

    @property
    def dataset(self) -> str:
        """What its configuration calls its data (nyud4 ..)."""
        return dataset_of(self.config)

    @property
    def classes(self) -> Tuple[str, ...]:
        """Names of the segmentation's classes that labels name."""
        return class_names(self.dataset)


def split_name(argument: str) -> Tuple[Optional[str], Path]:
    """``NAME=PATH`` or ``PATH`` (which may have a = itself)."""
    if Path(argument).exists():
        return None, Path(argument)
    name, equals, path = argument.partition("=")
    return (name, Path(path)) if equals else (None, Path(argument))


def label_of(name: Optional[str], path: Path, config: Dict[str, Any]) -> str:
    """The given name, else the configuration's, else the file's."""
    return name or str(config.get("name") or path.stem)


def load_network(argument: str) -> Network:
    """Network of ``[NAME=]CHECKPOINT``."""
    name, path = split_name(argument)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        checkpoint = load_checkpoint(path)
    except ValueError as error:
        raise InputError(str(error)) from error
    return Network(label_of(name, path, checkpoint.config), checkpoint.config, checkpoint.network)


def distinct_names(names: Sequence[str]) -> List[str]:
    """The names, numbered where two are the same."""
    return [name if list(names).count(name) == 1 else f"{name} ({list(names[:i]).count(name) + 1})" for i, name in enumerate(names)]


def load_networks(arguments: Sequence[str]) -> List[Network]:
    """All of a command line's; names that appear twice get numbers."""
    networks = [load_network(argument) for argument in arguments]
    for network, name in zip(networks, distinct_names([n.name for n in networks])):
        network.name = name
    return networks


@dataclass
class Photos:
    """Photos at their own sizes and, where the data set has it, the ground truth per task.

    truth: semseg, human_parts, sal (h, w) int, depth (h, w), normals (h, w, 3), edge (h, w) bool, one dict a photo.
    windows: the part that is scored.
    """

    names: List[str]
    images: List[np.ndarray]  # (h, w, 3) uint8
    truth: List[Dict[str, np.ndarray]] = field(default_factory=list)
    windows: List[Tuple[slice, slice]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def at(self, size: Tuple[int, int], indices: Optional[Sequence[int]] = None) -> np.ndarray:
        """(N, H, W, 3) uint8, bilinear with antialiasing as in the scores."""
        chosen = self.images if indices is None else [self.images[i] for i in indices]
        return np.stack([np.asarray(Image.fromarray(p).resize((size[1], size[0]), Image.BILINEAR)) for p in chosen])


def spread(items: Sequence[str], count: Optional[int]) -> List[str]:
    """``count`` items at even distances: neighbours of a list show one room."""
    if count is None or count >= len(items):
        return list(items)
    return [items[int((i + 0.5) * len(items) / count)] for i in range(count)]


def data_photos(
    dataset: str, root: Path, name: str = "test", count: Optional[int] = None, ids: Optional[Sequence[str]] = None
) -> Photos:
    """Frames of a data folder (see scripts/README.md): ``count`` of list ``name``, or the ones named."""
    try:
        frames = load_frames(dataset, root, list(ids) if ids else spread(read_list(dataset, root, name), count))
        items = [scored(frames, index) for index in range(len(frames.ids))]
    except DataError as error:
        raise InputError(f"{root}: no {dataset} data in the layout of scripts/README.md ({error})") from error
    whole = isinstance(frames, Frames)
    return Photos(
        list(frames.ids),
        [item.photo.permute(1, 2, 0).numpy() for item in items],
        [nyud_truth(frames, i) if whole else item.truth for i, item in enumerate(items)],
        [item.window for item in items],
    )


def folder_photos(paths: Sequence[Path], size: Tuple[int, int], count: Optional[int] = None, height: int = 384) -> Photos:
    """Photos of folders or single files, cut in the middle to the ratio of ``size``, at most ``height`` pixels high."""
    files: List[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path}: no such photo or folder")
        found = sorted(p for p in path.rglob("*") if is_photo(p.relative_to(path), SUFFIXES)) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: no photos in it ({', '.join(SUFFIXES)})")
        files += found
    files = [Path(p) for p in spread([str(f) for f in files], count)]
    images = []
    for path in files:
        try:
            with naming(path):
                photo = read_photo(path)
        except DataError as error:
            raise InputError(str(error)) from error
        rows = min(height, max(size[0], photo.height))
        fitted = ImageOps.fit(photo, (round(rows * size[1] / size[0]), rows), Image.BICUBIC)
        images.append(np.asarray(fitted))
    return Photos(distinct_names([path.stem for path in files]), images)


def add_photo_options(parser: argparse.ArgumentParser, count: int) -> None:
    """Options that all analyses share: photos, the networks' size, threads."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="data folder in the layout of scripts/README.md (photos with ground truth)")
    source.add_argument("--photos", type=Path, nargs="+", metavar="PATH", help="folders of photos, or photos")
    parser.add_argument("--list", default="test", choices=("test", "train"), help="list of --data (default: test)")
    parser.add_argument("--frames", nargs="+", metavar="ID", help="these frames of --data, not --count of the list")
    parser.add_argument("--count", type=int, default=count, help=f"photos, spread over the list (default: {count})")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="input size of every network (default: its own: last training phase, or the model file's)",
    )
    parser.add_argument(
        "--at-once", type=int, default=4, help="photos in a network at a time (4); W48 at 480x640 needs about 0.5 GB a photo"
    )
    add_thread_option(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def photos_of(arguments: argparse.Namespace, dataset: str, size: Tuple[int, int]) -> Photos:
    """The photos that the options name; those of folders are cut to the ratio of ``size``."""
    if arguments.count < 1:
        raise InputError(f"--count {arguments.count}: at least one photo")
    if arguments.data:
        return data_photos(dataset, arguments.data, arguments.list, arguments.count, arguments.frames)
    if arguments.frames:
        raise InputError("--frames names frames of a data set: it needs --data")
    return folder_photos(arguments.photos, size, arguments.count)
