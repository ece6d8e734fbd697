#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks into trained networks: analyze.py cka|tsne|gradcam [NAME=]NETWORK [[NAME=]NETWORK2] --data|--photos ..

cka      similarity of all layers, within each network and between two (linear CKA)
tsne     features behind the distillation in the plane, a point a pixel, coloured by class
gradcam  where each task's answer comes from, over the photo

Networks are checkpoints of train.py or model files; both run in PyTorch. Every command writes OUTPUT.png, .svg, .csv (the
numbers) and .json (the settings and a summary).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.analysis import cka, embedding, embedding_figure, gradcam_figure, similarity
from bimtdp_torch.analysis.activations import GROUPS
from bimtdp_torch.analysis.inputs import InputError, Network, Photos, add_photo_options, load_networks, photos_of
from bimtdp_torch.files import run_program
from bimtdp_torch.machine import use_threads
from bimtdp_torch.networks.predictor import check_size

Sizes = List[Tuple[int, int]]


def run_cka(arguments: argparse.Namespace, networks: List[Network], sizes: Sizes, photos: Photos) -> List[Path]:
    """Writes the CKA of all layers; returns the files."""
    if len(photos) < cka.LEAST_BATCH:
        raise InputError(f"{len(photos)} photos: CKA needs at least {cka.LEAST_BATCH}")
    names, table = similarity.layer_table(
        networks,
        photos,
        sizes,
        arguments.batch,
        arguments.grid,
        arguments.estimator,
        arguments.groups,
        arguments.at_once,
        arguments.quiet,
    )
    settings = {
        "photos": len(photos),
        "batch": min(arguments.batch, len(photos)),
        "grid": arguments.grid,
        "estimator": arguments.estimator,
        "sizes": sizes,
    }
    return similarity.write(arguments.output, [n.name for n in networks], names, table, settings)


def pixel_labels(arguments: argparse.Namespace, networks: List[Network], sizes: Sizes, photos: Photos):
    """(labels a photo, number of classes, words for where they come from)."""
    if photos.truth:
        if "semseg" not in photos.truth[0]:
            raise InputError(f"{arguments.data}: no segmentation labels to colour the pixels by")
        return [t["semseg"] for t in photos.truth], len(networks[0].classes), "their labels"
    labels = embedding.predicted_labels(networks[0], photos, sizes[0], arguments.at_once)
    return labels, 1 + max(int(m.max()) for m in labels), f"the classes that {networks[0].name} predicts"


def run_tsne(arguments: argparse.Namespace, networks: List[Network], sizes: Sizes, photos: Photos) -> List[Path]:
    """Writes the t-SNE of the same pixels for every network; returns the files."""
    labels, count, labels_from = pixel_labels(arguments, networks, sizes, photos)
    grids = [embedding.map_size(n, size, arguments.task, arguments.scale) for n, size in zip(networks, sizes)]
    known = networks[0].classes
    for name in arguments.classes or []:
        if name not in known:
            raise InputError(f"--classes {name}: the classes are {', '.join(known)}")
    chosen = [known.index(name) for name in arguments.classes] if arguments.classes else None
    small = [embedding.resize_nearest(m, grids[0][0]) for m in labels]
    pixels = embedding.choose_pixels(small, count, arguments.per_class, arguments.seed, arguments.most, chosen)
    embeddings = []
    for network, size, (_, source) in zip(networks, sizes, grids):
        vectors = embedding.pixel_vectors(
            network,
            photos,
            size,
            grids[0][0],
            pixels,
            arguments.task,
            arguments.scale,
            arguments.tensor == "binary",
            arguments.at_once,
            arguments.quiet,
        )
        embeddings.append(embedding.embed(vectors, pixels, arguments.perplexity, arguments.seed))
        embeddings[-1].source = source
    settings: Dict[str, Any] = {
        "task": arguments.task,
        "scale": arguments.scale,
        "tensor": arguments.tensor,
        "photos": len(photos),
        "labels": labels_from,
        "perplexity": arguments.perplexity,
        "seed": arguments.seed,
        "sizes": sizes,
    }
    return embedding_figure.write(
        arguments.output, [n.name for n in networks], embeddings, pixels, photos.names, dict(enumerate(known)), settings
    )


def run_gradcam(arguments: argparse.Namespace, networks: List[Network], sizes: Sizes, photos: Photos) -> List[Path]:
    """Writes a sheet of Grad-CAMs, photos x tasks; returns the files."""
    tasks = arguments.tasks or list(dict.fromkeys(task for network in networks for task in network.tasks))
    for task in tasks:
        if not any(task in network.tasks for network in networks):
            raise InputError(f"--tasks {task}: {networks[0].name} has {', '.join(networks[0].tasks)}")
    if arguments.target and arguments.target not in networks[0].classes:
        raise InputError(f"--class {arguments.target}: the classes are {', '.join(networks[0].classes)}")
    sheet, rows = gradcam_figure.build(networks, photos, sizes, arguments.scale, tasks, arguments.target, arguments.quiet)
    settings = {
        "scale": arguments.scale,
        "tasks": tasks,
        "class": arguments.target,
        "sizes": sizes,
        "networks": [n.name for n in networks],
        "photos": photos.names,
    }
    return gradcam_figure.write(arguments.output, sheet, rows, settings)


def add_command(commands: Any, name: str, run: Any, count: int, text: str) -> argparse.ArgumentParser:
    """A subcommand with the options that all of them have; ``count``: photos by default."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("networks", nargs="+", metavar="[NAME=]NETWORK", help="one or two of them")
    add_photo_options(parser, count)
    parser.add_argument("--output", type=Path, default=Path(name), help="path of the files without their suffix")
    parser.set_defaults(run=run)
    return parser


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="cka|tsne|gradcam")
    one = add_command(commands, "cka", run_cka, 128, "similarity of all layers (linear CKA)")
    one.add_argument("--estimator", choices=cka.ESTIMATORS, default="unbiased", help="of HSIC (default: unbiased)")
    one.add_argument("--batch", type=int, default=32, help="photos of a minibatch (default: 32)")
    one.add_argument("--grid", type=int, default=8, help="maps are average-pooled to GRID x GRID first (default: 8)")
    one.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), help="which layers (default: all)")
    two = add_command(commands, "tsne", run_tsne, 100, "features behind the distillation in the plane (t-SNE)")
    two.add_argument("--task", default="semseg", help="whose features (default: semseg)")
    two.add_argument("--scale", type=int, default=0, help="0 is the finest (default)")
    two.add_argument("--tensor", choices=("real", "binary"), default="real", help="the sum, or its sign (eq. (3))")
    two.add_argument("--classes", nargs="+", metavar="NAME", help="default: the ones in most photos")
    two.add_argument("--most", type=int, default=8, help="at most so many classes (default: 8)")
    two.add_argument("--per-class", type=int, default=300, help="pixels of a class (default: 300)")
    two.add_argument("--perplexity", type=float, default=30.0)
    two.add_argument("--seed", type=int, default=0)
    three = add_command(commands, "gradcam", run_gradcam, 3, "where each task's answer comes from (Grad-CAM)")
    three.add_argument("--tasks", nargs="+", help="default: all")
    three.add_argument("--class", dest="target", metavar="NAME", help="of the segmentation (default: the largest)")
    three.add_argument("--scale", type=int, default=1, help="of the features, 0 is the finest (default: 1)")
    arguments = parser.parse_args()
    if len(arguments.networks) > 2:
        parser.error(f"one or two networks, got {len(arguments.networks)}")
    return arguments


def main() -> None:
    arguments = parse()
    use_threads(arguments)
    try:
        networks = load_networks(arguments.networks)
        sizes = [check_size(arguments.size or network.size, "--size") for network in networks]
        paths = arguments.run(arguments, networks, sizes, photos_of(arguments, networks[0].dataset, sizes[0]))
    except (ValueError, OSError) as error:
        sys.exit(f"analyze.py: {error}")
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_program(main)
