# SPDX-License-Identifier: Apache-2.0
"""Photos without labels, from a folder tree or a tar archive: for pretraining, and beside labelled ones. Hidden files (as
._photo.jpg, which macOS writes) are none."""

from __future__ import annotations

import contextlib
import tarfile
import threading
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .checks import DataError, check_whole, for_all, naming
from .photo_files import read_photo
from .samples import batch_indices, generator, jitter_colour, normalise, unknown_target

_SUFFIXES = (".jpg", ".jpeg", ".png")


class Photos(NamedTuple):
    """Photos in memory, squeezed to squares."""

    pixels: Tensor  # (N, 3, side, side) uint8
    folders: Tensor  # (N,) index of the folder that each lies in
    names: List[str]  # of the folders


class _File(NamedTuple):
    """A photo's place: the name of its folder, its own for messages, and how it is opened."""

    folder: str
    name: str
    open: Callable[[], ContextManager[BinaryIO]]


def is_photo(path: PurePosixPath, suffixes: Tuple[str, ...] = _SUFFIXES) -> bool:
    """By its name, below the folder that was given."""
    return path.suffix.lower() in suffixes and not any(part.startswith(".") and part.strip(".") for part in path.parts)


@contextlib.contextmanager
def _photo_files(source: Path) -> Iterator[List[_File]]:
    """Every photo in a folder tree or a tar archive, in a fixed order."""
    if not source.is_file():
        paths = sorted(path for path in source.rglob("*") if is_photo(path.relative_to(source)) and not path.is_dir())
        yield [_File(path.parent.name, str(path), lambda path=path: open(path, "rb")) for path in paths]
        return
    if not tarfile.is_tarfile(source):
        raise ValueError(f"{source}: neither a folder nor a tar archive")
    with naming(source), tarfile.open(source) as archive:
        lock = threading.Lock()  # the members share one file

        @contextlib.contextmanager
        def extracted(member: tarfile.TarInfo) -> Iterator[BinaryIO]:
            with lock, archive.extractfile(member) as file:
                yield file

        members = sorted(archive.getmembers(), key=lambda m: m.name)
        members = [member for member in members if member.isfile() and is_photo(PurePosixPath(member.name))]
        yield [_File(PurePosixPath(m.name).parent.name, f"{source}: {m.name}", lambda m=m: extracted(m)) for m in members]


def load_photos(source: Path, side: int) -> Photos:
    """All photos of a folder tree or tar archive, after a look at all of them. DataError: there is none, or what is wrong
    with which."""
    with _photo_files(Path(source)) as files:
        if not files:
            raise DataError(f"{source}: no photos in it ({', '.join(_SUFFIXES)})")
        pixels = np.empty((len(files), 3, side, side), np.uint8)

        def check(file: _File) -> None:
            with naming(file.name), file.open() as stream:
                check_whole(stream)

        def read(index: int) -> None:
            with naming(files[index].name), files[index].open() as stream:
                image = read_photo(stream)
            if image.size != (side, side):
                image = image.resize((side, side), Image.BILINEAR)
            pixels[index] = np.asarray(image).transpose(2, 0, 1)

        for_all(check, files, "checking photos")
        for_all(read, range(len(files)), "reading photos")
    names = sorted({file.folder for file in files})
    numbers = {name: number for number, name in enumerate(names)}
    return Photos(torch.from_numpy(pixels), torch.tensor([numbers[file.folder] for file in files]), names)


def augmented_crop(photo: Tensor, rng: torch.Generator, size: Tuple[int, int], colour: float) -> Tensor:
    """A window of 0.55 to 1 of a photo's side, stretched to ``size``, mirrored half of the time; values in 0..1."""
    u, side = torch.rand(4, generator=rng).tolist(), photo.shape[-1]
    length = round(side * (0.55 + 0.45 * u[0]))
    top, left = (int(u[k] * (side - length + 1)) for k in (1, 2))
    crop = photo[None, :, top : top + length, left : left + length]
    crop = F.interpolate(crop.flip(3) if u[3] < 0.5 else crop, size, mode="bilinear", antialias=True)
    return jitter_colour(crop[0].float() / 255, rng, colour)


def unlabelled_batch(
    photos: Photos, seed: int, step: int, count: int, size: Tuple[int, int], colour: float, part: slice, like: Mapping[str, Tensor]
) -> Dict[str, Tensor]:
    """``part`` of a step's ``count`` photos as a batch with the entries of the labelled batch ``like``, labels unknown."""
    crops = []
    for position, index in list(enumerate(batch_indices(seed, step, count, len(photos.pixels))))[part]:
        crops.append(augmented_crop(photos.pixels[index], generator(seed, 3, step, position), size, colour))
    image = normalise(torch.stack(crops)).contiguous(memory_format=torch.channels_last)
    labels = {task: unknown_target(task, target, len(crops)) for task, target in like.items() if task != "image"}
    return {"image": image, **labels}
