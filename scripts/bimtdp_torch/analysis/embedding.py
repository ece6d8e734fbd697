# SPDX-License-Identifier: Apache-2.0
"""t-SNE of the features behind the distillation, pixel by pixel, coloured by class.

The same pixels for every network: chosen from the labels alone (resized to the feature map by nearest neighbour), the
same number of every class, with a fixed seed. Vectors of C channels -> PCA to 50 -> t-SNE of scikit-learn. What the
eye sees in a t-SNE is no measurement, so numbers stand beside it: in the features' own space the accuracy of the 10
nearest neighbours (every pixel classified by those of other photos; chance is 1 / classes) and the silhouette, and the
silhouette in the plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor
from tqdm import tqdm

from ..data.samples import to_input
from .inputs import InputError, Network, Photos

PCA_DIMENSIONS = 50
NEIGHBOURS = 10


class Pixels(NamedTuple):
    """Chosen places of feature maps, N each."""

    photo: np.ndarray
    row: np.ndarray
    column: np.ndarray
    label: np.ndarray


def resize_nearest(labels: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """(h, w) labels at ``size``: the label under each new pixel's centre."""
    rows, columns = (((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, labels.shape))
    return labels[rows[:, None], columns[None, :]]


def choose_pixels(
    labels: Sequence[np.ndarray], classes: int, per_class: int, seed: int = 0, most: int = 8, chosen: Optional[Sequence[int]] = None
) -> Pixels:
    """``per_class`` pixels (fewer where there are not as many) of the ``most`` classes seen in most photos, or of the
    ``chosen`` ones. ``labels``: one (h, w) map a photo; values outside 0..classes-1 are ignored."""
    maps = np.stack(labels)
    in_photos = np.array([np.count_nonzero((maps == c).any((1, 2))) for c in range(classes)])
    pixels = np.array([np.count_nonzero(maps == c) for c in range(classes)])
    if chosen is None:
        enough = [c for c in range(classes) if pixels[c] >= min(per_class, 10)]
        chosen = sorted(enough, key=lambda c: (-in_photos[c], -pixels[c], c))[:most]
    chosen = [c for c in chosen if 0 <= c < classes and pixels[c] > 0]
    if len(chosen) < 2:
        raise InputError(f"t-SNE needs pixels of two classes or more; there are of {len(chosen)} ({chosen})")
    random = np.random.default_rng(seed)
    places = []
    for c in chosen:
        found = np.argwhere(maps == c)
        places.append(found[np.sort(random.choice(len(found), min(per_class, len(found)), replace=False))])
    places_all = np.concatenate(places)
    label = np.concatenate([np.full(len(p), c) for p, c in zip(places, chosen)])
    return Pixels(places_all[:, 0], places_all[:, 1], places_all[:, 2], label)


def feature_map(outputs: Dict[str, Any], task: str, scale: int, binary: bool) -> Tensor:
    """(B, C, h, w) features of a task after the distillation: the real sum S, or its sign (+-1), which is the F^o of
    eq. (3). Networks without distillation give the backbone's map of that scale."""
    distilled, backbone = outputs.get("distilled") or [], outputs.get("backbone") or []
    maps = distilled or backbone
    if not 0 <= scale < len(maps):
        raise InputError(f"--scale {scale}: this network has scales 0 to {len(maps) - 1}")
    if distilled and task not in maps[scale]:
        raise InputError(f"--task {task}: this network has {', '.join(maps[scale])}")
    x = maps[scale][task] if distilled else maps[scale]
    return torch.where(x >= 0, 1.0, -1.0) if binary else x.float()


def map_size(network: Network, size: Tuple[int, int], task: str, scale: int) -> Tuple[Tuple[int, int], str]:
    """(h, w) of the features of photos of ``size``, and words for what they are."""
    with torch.no_grad():
        outputs = network.module.training_outputs(to_input(np.zeros((1, *size, 3), np.uint8)))
    words = f"{task} features behind the distillation" if outputs.get("distilled") else "features of the backbone"
    return tuple(feature_map(outputs, task, scale, False).shape[-2:]), words


def pixel_vectors(
    network: Network,
    photos: Photos,
    size: Tuple[int, int],
    grid: Tuple[int, int],
    pixels: Pixels,
    task: str,
    scale: int,
    binary: bool = False,
    batch: int = 4,
    quiet: bool = False,
) -> np.ndarray:
    """(N, C) features of the pixels; places are those of a map of size ``grid``, scaled where a network's differs."""
    vectors: Optional[np.ndarray] = None
    for start in tqdm(range(0, len(photos), batch), desc=network.name, unit="batch", disable=quiet, dynamic_ncols=True):
        indices = range(start, min(start + batch, len(photos)))
        here = np.flatnonzero((pixels.photo >= start) & (pixels.photo < indices.stop))
        if not len(here):
            continue
        with torch.no_grad():
            outputs = network.module.training_outputs(to_input(photos.at(size, indices)))
        maps = feature_map(outputs, task, scale, binary)
        rows, columns = (
            ((place[here] + 0.5) * new / old).astype(int)
            for place, new, old in zip((pixels.row, pixels.column), maps.shape[-2:], grid)
        )
        found = maps[torch.from_numpy(pixels.photo[here] - start), :, torch.from_numpy(rows), torch.from_numpy(columns)]
        if vectors is None:
            vectors = np.zeros((len(pixels.label), maps.shape[1]), np.float32)
        vectors[here] = found.numpy()
    return vectors


def predicted_labels(network: Network, photos: Photos, size: Tuple[int, int], batch: int = 4) -> List[np.ndarray]:
    """The network's own segmentation, (H, W) a photo: for photos without labels."""
    labels: List[np.ndarray] = []
    for start in range(0, len(photos), batch):
        with torch.no_grad():
            maps = network.module(to_input(photos.at(size, range(start, min(start + batch, len(photos))))))
        if "semseg" not in maps:
            raise InputError(f"{network.name}: no segmentation to colour the pixels by; use a data set with labels")
        labels += list(maps["semseg"].argmax(1).numpy())
    return labels


@dataclass
class Embedding:
    """(N, 2) places, the numbers beside them, and words for what was embedded."""

    points: np.ndarray
    scores: Dict[str, float]
    source: str = ""


def neighbour_accuracy(x: np.ndarray, labels: np.ndarray, photo: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Share of pixels whose nearest neighbours in *other* photos are mostly of their class (ties: the nearest class
    index): neighbours in its own photo would be the same object."""
    x = x.astype(np.float64)
    squares = (x**2).sum(1)
    classes = np.unique(labels)
    hits = 0
    for start in range(0, len(x), 512):  # bounds the distances held at once
        part = slice(start, start + 512)
        distance = squares[part, None] - 2 * x[part] @ x.T + squares[None]
        distance[photo[part, None] == photo[None]] = np.inf
        count = min(neighbours, int(np.isfinite(distance).sum(1).min()))
        if count == 0:
            return float("nan")  # a single photo
        near = labels[np.argpartition(distance, count - 1, axis=1)[:, :count]]
        votes = (near[..., None] == classes).sum(1)
        hits += int((classes[votes.argmax(1)] == labels[part]).sum())
    return hits / len(x)


def embed(vectors: np.ndarray, pixels: Pixels, perplexity: float = 30.0, seed: int = 0) -> Embedding:
    """PCA to 50 dimensions, t-SNE to 2 (PCA initialisation, fixed seed)."""
    count = len(vectors)
    if count <= 3 * perplexity:
        raise InputError(f"{count} pixels are too few for perplexity {perplexity:g}: it needs {3 * perplexity:.0f}")
    x = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    if not np.any(np.abs(x).max(0) > 0):
        raise InputError("all chosen pixels have the same features: nothing to embed")
    if x.shape[1] > PCA_DIMENSIONS and count > PCA_DIMENSIONS:
        x = PCA(PCA_DIMENSIONS, svd_solver="full").fit_transform(x)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, learning_rate="auto", method="barnes_hut")
    points = tsne.fit_transform(x.astype(np.float32))
    return Embedding(
        points,
        {
            "neighbour_accuracy": neighbour_accuracy(vectors, pixels.label, pixels.photo),
            "silhouette_features": float(silhouette_score(vectors, pixels.label)),
            "silhouette_plane": float(silhouette_score(points, pixels.label)),
            "kl_divergence": float(tsne.kl_divergence_),
        },
    )
