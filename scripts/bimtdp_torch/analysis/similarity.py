# SPDX-License-Identifier: Apache-2.0
"""CKA of all layers of one or two networks on the same photos: the table, its figure and its summary."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from .activations import GROUPS, pooled_activations
from .cka import CkaTable, minibatches
from .inputs import InputError, Network, Photos
from .output import new_figure, save_csv, save_figure, save_json

_NAMES_UP_TO = 36  # layers that still have room for their names on an axis


def layer_table(
    networks: Sequence[Network],
    photos: Photos,
    sizes: Sequence[Tuple[int, int]],
    batch: int = 32,
    grid: int = 8,
    estimator: str = "unbiased",
    groups: Sequence[str] = GROUPS,
    forward: int = 4,
    quiet: bool = False,
) -> Tuple[List[List[str]], np.ndarray]:
    """(layer names of each network, CKA of all layers of all networks in that order).

    Memory: the pooled features of one minibatch (layers x batch x C x grid^2 floats) and ``forward`` photos' maps.
    """
    names: List[List[str]] = []
    table = None
    with tqdm(total=len(photos) * len(networks), desc="CKA", unit="photo", disable=quiet, dynamic_ncols=True) as bar:
        for part in minibatches(len(photos), batch):
            features = [
                pooled_activations(network.module, photos.at(size, part), grid, forward, groups, bar.update)
                for network, size in zip(networks, sizes)
            ]
            if table is None:
                names = [list(f) for f in features]
                for network, layers in zip(networks, names):
                    if not layers:
                        raise InputError(f"{network.name}: no layers in the groups {', '.join(groups)}")
                table = CkaTable([layer for layers in names for layer in layers], estimator)
            table.update([values for f in features for values in f.values()])
    return names, table.result()


def group_spans(names: Sequence[str]) -> List[Tuple[str, int, int]]:
    """(group, first, end) of consecutive layers of one group."""
    spans: List[Tuple[str, int, int]] = []
    for index, name in enumerate(names):
        group = name.split("/")[0]
        if spans and spans[-1][0] == group:
            spans[-1] = (group, spans[-1][1], index + 1)
        else:
            spans.append((group, index, index + 1))
    return spans


def _label_axis(axis, names: Sequence[str], rotation: float) -> None:
    spans = group_spans(names)
    if len(names) <= _NAMES_UP_TO:
        axis.set_ticks(range(len(names)), [n.replace("/", " ") for n in names], fontsize=6, rotation=rotation)
    else:
        axis.set_ticks([(first + end - 1) / 2 for _, first, end in spans], [group for group, _, _ in spans], rotation=rotation)
        axis.set_tick_params(length=0)
    for label in axis.get_ticklabels():
        if rotation:
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")


def _panel(axes, table: np.ndarray, rows: Tuple[str, Sequence[str]], columns: Tuple[str, Sequence[str]], title: str):
    image = axes.imshow(table, vmin=0, vmax=1, cmap="viridis", interpolation="nearest", aspect="auto")
    axes.set_facecolor("0.75")  # where there is no number
    for spans, line in ((group_spans(rows[1]), axes.axhline), (group_spans(columns[1]), axes.axvline)):
        for _, first, _ in spans[1:]:
            line(first - 0.5, color="white", linewidth=0.8)
    _label_axis(axes.xaxis, columns[1], 45)
    _label_axis(axes.yaxis, rows[1], 0)
    axes.set(title=textwrap.fill(title, 54), xlabel=f"layers of {columns[0]}", ylabel=f"layers of {rows[0]}")
    axes.spines[["top", "right"]].set_visible(True)
    return image


def heat_maps(networks: Sequence[str], names: Sequence[Sequence[str]], table: np.ndarray, subtitle: str):
    """Figure: one network with itself; of a pair both and the one against the other."""
    counts = [len(layers) for layers in names]
    parts = [slice(sum(counts[:i]), sum(counts[: i + 1])) for i in range(len(counts))]
    pairs = [(0, 0)] if len(networks) == 1 else [(0, 0), (1, 1), (0, 1)]
    figure, axes = new_figure(1, len(pairs), figsize=(5.2 * len(pairs) + 0.9, 5.9), squeeze=False, layout="constrained")
    for axis, (i, j) in zip(axes[0], pairs):
        title = f"{networks[i]}, with itself" if i == j else f"{networks[i]} and {networks[j]}"
        image = _panel(axis, table[parts[i], parts[j]], (networks[i], names[i]), (networks[j], names[j]), title)
    figure.colorbar(image, ax=axes[0], label="linear CKA (1: the same up to rotation and scale)", shrink=0.9, pad=0.01)
    figure.suptitle(f"Similarity of layers\n{subtitle}", fontsize=11)
    return figure


def group_means(networks: Sequence[str], names: Sequence[Sequence[str]], table: np.ndarray) -> Dict[str, Any]:
    """Mean CKA between groups of layers, ``network/group`` -> ``network/group``; a layer with itself does not count."""
    keys = [f"{network}/{name.split('/')[0]}" for network, layers in zip(networks, names) for name in layers]
    values = np.where(np.eye(len(keys), dtype=bool), np.nan, table)
    means: Dict[str, Any] = {}
    for a in dict.fromkeys(keys):
        means[a] = {}
        for b in dict.fromkeys(keys):
            block = values[np.ix_([k == a for k in keys], [k == b for k in keys])]
            block = block[np.isfinite(block)]
            means[a][b] = round(float(block.mean()), 4) if block.size else None
    return means


def write(
    stem: Path, networks: Sequence[str], names: Sequence[Sequence[str]], table: np.ndarray, settings: Dict[str, Any]
) -> List[Path]:
    """``stem``.png, .svg, .csv (the whole table) and .json (settings, means over groups of layers)."""
    layers = [f"{network}/{name}" for network, layers in zip(networks, names) for name in layers]
    dead = [layer for layer, value in zip(layers, np.diag(table)) if not np.isfinite(value)]
    subtitle = (
        f"{settings['photos']} photos, minibatches of {settings['batch']}, {settings['estimator']} HSIC, "
        f"maps pooled to {settings['grid']}x{settings['grid']}" + "; grey: no variance" * bool(dead)
    )
    paths = save_figure(heat_maps(networks, names, table, subtitle), stem)
    paths.append(
        save_csv(
            stem.parent / f"{stem.name}.csv",
            ["layer"] + layers,
            [[layer] + [float(v) for v in row] for layer, row in zip(layers, table)],
        )
    )
    paths.append(
        save_json(
            stem.parent / f"{stem.name}.json",
            {
                **settings,
                "networks": list(networks),
                "layers_without_variance": dead,
                "group_means": group_means(networks, names, table),
            },
        )
    )
    return paths
