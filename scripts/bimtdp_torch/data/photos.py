# SPDX-License-Identifier: Apache-2.0
"""Photos without labels, from a folder tree or a tar archive: for pretraining, and beside labelled ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from .photo_files import read_photo
from .samples import batch_indices, generator, jitter_colour, normalise, unknown_target

_SUFFIXES = (".jpg", ".jpeg", ".png")


class Photos(NamedTuple):
    """Photos in memory, squeezed to squares."""

    pixels: Tensor  # (N, 3, side, side) uint8
    folders: Tensor  # (N,) index of the folder that each lies in
    names: List[str]  # of the folders


def _photo_files(source: Path) -> Iterator[Tuple[str, Any]]:
    """(name of the folder, file) of every photo in a folder tree or a tar archive, in a fixed order."""
    if source.is_file():
        if not tarfile.is_tarfile(source):
            raise ValueError(f"{source}: neither a folder nor a tar archive")
        with tarfile.open(source) as archive:
            for member in sorted(archive.getmembers(), key=lambda m: m.name):
                if member.isfile() and member.name.lower().endswith(_SUFFIXES):
                    yield Path(member.name).parent.name, io.BytesIO(archive.extractfile(member).read())
    else:
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in _SUFFIXES:
                yield path.parent.name, path


def load_photos(source: Path, side: int) -> Photos:
    """All photos of a folder tree or tar archive; FileNotFoundError where there is none."""
    pixels, folders = [], []
    for folder, file in tqdm(_photo_files(Path(source)), desc="photos", mininterval=5):
        image = read_photo(file)
        if image.size != (side, side):
            image = image.resize((side, side), Image.BILINEAR)
        pixels.append(np.asarray(image).transpose(2, 0, 1))
        folders.append(folder)
    if not pixels:
        raise FileNotFoundError(f"no photos in {source}")
    names = sorted(set(folders))
    return Photos(torch.from_numpy(np.stack(pixels)), torch.tensor([names.index(f) for f in folders]), names)


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
