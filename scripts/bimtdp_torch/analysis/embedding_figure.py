# SPDX-License-Identifier: Apache-2.0
"""The t-SNE command's figure and files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from .colours import MARKERS, OKABE_ITO
from .embedding import Embedding, Pixels
from .output import new_figure, save_csv, save_figure, save_json


def scatter(networks: Sequence[str], embeddings: Sequence[Embedding], pixels: Pixels, names: Dict[int, str], title: str):
    """One panel a network, one colour and marker a class (a marker more, so that no two classes look alike)."""
    classes = list(dict.fromkeys(pixels.label.tolist()))
    figure, axes = new_figure(1, len(networks), figsize=(4.8 * len(networks) + 1.6, 5.0), squeeze=False, layout="constrained")
    order = np.random.default_rng(0).permutation(len(pixels.label))  # no class lies above the others
    for axis, network, embedding in zip(axes[0], networks, embeddings):
        for chunk in np.array_split(order, 8):
            for i, c in enumerate(classes):
                mine = chunk[pixels.label[chunk] == c]
                axis.scatter(
                    *embedding.points[mine].T,
                    s=11,
                    c=OKABE_ITO[i % len(OKABE_ITO)],
                    marker=MARKERS[i % len(MARKERS)],
                    linewidths=0.3,
                    edgecolors="white",
                    alpha=0.85,
                )
        scores = embedding.scores
        axis.set(
            title=textwrap.fill(f"{network}: {embedding.source}", 50) + "\n"
            f"nearest neighbours {100 * scores['neighbour_accuracy']:.0f} % right, "
            f"silhouette {scores['silhouette_features']:.2f}",
            xticks=[],
            yticks=[],
            xlabel="t-SNE 1",
            ylabel="t-SNE 2",
            aspect="equal",
            adjustable="datalim",
        )
    handles = [
        axes[0, 0].scatter(
            [],
            [],
            s=30,
            c=OKABE_ITO[i % len(OKABE_ITO)],
            marker=MARKERS[i % len(MARKERS)],
            label=f"{names.get(c, f'class {c}')} ({int((pixels.label == c).sum())})",
        )
        for i, c in enumerate(classes)
    ]
    figure.legend(handles=handles, loc="outside right center", title="class (pixels)")
    figure.suptitle(title, fontsize=11)
    return figure


def write(
    stem: Path,
    networks: Sequence[str],
    embeddings: Sequence[Embedding],
    pixels: Pixels,
    photos: Sequence[str],
    names: Dict[int, str],
    settings: Dict[str, Any],
) -> List[Path]:
    """``stem``.png, .svg, .csv (every pixel: photo, place, class, its points) and .json (settings and scores)."""
    title = (
        f"t-SNE of features at scale {settings['scale']}{', their signs' * (settings['tensor'] == 'binary')}\n"
        f"{len(pixels.label)} pixels of {settings['photos']} photos, coloured by {settings['labels']}"
    )
    paths = save_figure(scatter(networks, embeddings, pixels, names, title), stem)
    header = ["photo", "row", "column", "class"] + [f"{network} {axis}" for network in networks for axis in "xy"]
    points = np.concatenate([e.points for e in embeddings], 1)
    rows = [
        [photos[p], int(r), int(c), names.get(int(label), str(int(label)))] + [float(v) for v in place]
        for p, r, c, label, place in zip(*pixels, points)
    ]
    paths.append(save_csv(stem.parent / f"{stem.name}.csv", header, rows))
    scores = {
        network: {"features": e.source, **{k: round(v, 4) for k, v in e.scores.items()}} for network, e in zip(networks, embeddings)
    }
    counts = {names.get(c, str(c)): int((pixels.label == c).sum()) for c in dict.fromkeys(pixels.label.tolist())}
    paths.append(save_json(stem.parent / f"{stem.name}.json", {**settings, "pixels": counts, "scores": scores}))
    return paths
