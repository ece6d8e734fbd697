#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the training data of this project from the public files of NYU Depth v2.

    prepare_nyud.py nyu_depth_v2_labeled.mat --splits splits.mat --classes classMapping40.mat --output DIR

* nyu_depth_v2_labeled.mat: the 1449 labelled frames, from the data set's page (2.8 GB).
* splits.mat: the official lists trainNdxs and testNdxs, from the same page.
* classMapping40.mat: the usual map of the 894 label names to 40 classes (key mapClass, 894 values in 1..40),
  part of the public code of Gupta et al., "Perceptual Organization and Recognition of Indoor Scenes" (CVPR 2013).

Writes, at 320x240 and with the official index as name: image/NNNN.jpg, depth/NNNN.png (8 bits, metres =
(v + 0.5) / 255 * 9.99547; 0 = not measured), label/NNNN.png (class - 1; 39 = unlabelled or "otherprop", ignored), normal/NNNN.jpg
(n = v / 127.5 - 1; x right, y up, z toward the viewer; grey = none), edge/NNNN.png, train.txt and test.txt. Needs h5py and scipy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Tuple

import numpy as np
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.files import run_program, whole_file, write_text

WIDTH, HEIGHT = 320, 240
FOCAL, CENTRE = (259.43, 259.73), (162.29, 126.37)  # of the 320x240 photo, pixel centres at integers
MAX_DEPTH = 9.99547
IGNORE = 39


def class_labels(labels: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """Raw labels (0 = unlabelled, 1..894) -> 0..38, and 39 for unlabelled pixels and "otherprop"."""
    table = np.full(len(mapping) + 1, IGNORE, np.uint8)
    table[1:] = np.where(mapping >= 40, IGNORE, mapping - 1)
    return table[labels]


def shrink_nearest(array: np.ndarray) -> np.ndarray:
    """Every second pixel of a 640x480 array: labels and depths must not be mixed."""
    return array[::2, ::2]


def surface_normals(depth: np.ndarray, radius: int = 5, tolerance: float = 0.05) -> np.ndarray:
    """(H, W, 3) unit normals by a plane fit to each pixel's neighbours of nearly the same depth.

    The plane through the neighbours is normal to the smallest principal axis of their 3-D positions; neighbours
    whose depth differs by more than ``tolerance`` (relative) belong to another surface.
    """
    height, width = depth.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    points = np.stack(((columns - CENTRE[0]) / FOCAL[0] * depth, (rows - CENTRE[1]) / FOCAL[1] * depth, depth), -1)
    padded = np.pad(points, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    count, first, second = np.zeros((height, width)), np.zeros((height, width, 3)), np.zeros((height, width, 3, 3))
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            q = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width] - points
            near = (np.abs(q[..., 2]) <= tolerance * depth).astype(np.float64)
            q = q * near[..., None]
            count, first, second = count + near, first + q, second + q[..., :, None] * q[..., None, :]
    mean = first / count[..., None]
    covariance = second / count[..., None, None] - mean[..., :, None] * mean[..., None, :]
    normals = np.linalg.eigh(covariance)[1][..., 0]
    away = (normals * points).sum(-1) > 0  # a visible surface faces the camera
    normals[away] *= -1
    normals[depth <= 0] = 0  # nothing was measured; comes out grey
    return normals * np.array((1.0, -1.0, -1.0))  # camera's y down and z forward -> y up and z toward the viewer


def region_edges(labels: np.ndarray, gap: int = 4) -> np.ndarray:
    """Boundaries between labelled regions, one pixel wide; gaps of up to ``gap`` unlabelled pixels are filled."""
    from scipy.ndimage import distance_transform_edt

    distance, nearest = distance_transform_edt(labels == 0, return_indices=True)
    filled = np.where(distance <= gap, labels[tuple(nearest)], 0)
    edges = np.zeros(labels.shape, bool)
    for a, b, target in ((filled[:, :-1], filled[:, 1:], edges[:, :-1]), (filled[:-1], filled[1:], edges[:-1])):
        target |= (a != b) & (a > 0) & (b > 0)
    return edges


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Metres -> 8 bits; 0 where nothing was measured, and only there."""
    return np.where(depth > 0, np.clip(np.rint(depth / MAX_DEPTH * 255 - 0.5), 1, 255), 0).astype(np.uint8)


def encode_normals(normals: np.ndarray) -> np.ndarray:
    """Unit vectors -> 8 bits per component."""
    return np.clip(np.rint((normals + 1) * 127.5), 0, 255).astype(np.uint8)


def read_splits(path: Path) -> Tuple[np.ndarray, np.ndarray]:
    """Official indices (from 1) of training and test frames."""
    from scipy.io import loadmat

    splits = loadmat(path)
    return splits["trainNdxs"].ravel(), splits["testNdxs"].ravel()


def save_image(array: np.ndarray, path: Path, **options: int) -> None:
    with whole_file(path) as temporary:
        Image.fromarray(array).save(temporary, **options)


def write_frame(
    output: Path, name: str, photo: np.ndarray, depth: np.ndarray, labels: np.ndarray, instances: np.ndarray, mapping: np.ndarray
) -> None:
    """One frame; arrays are (480, 640[, 3]) as photographed."""
    small = np.asarray(Image.fromarray(photo).resize((WIDTH, HEIGHT), Image.BOX))
    save_image(small, output / "image" / f"{name}.jpg", quality=95)
    depth, labels = np.nan_to_num(shrink_nearest(depth).astype(np.float64)), shrink_nearest(labels).astype(np.int64)
    instances = shrink_nearest(instances).astype(np.int64)
    save_image(encode_depth(depth), output / "depth" / f"{name}.png")
    save_image(class_labels(labels, mapping), output / "label" / f"{name}.png")
    save_image(encode_normals(surface_normals(depth)), output / "normal" / f"{name}.jpg", quality=95)
    regions = np.where(labels > 0, labels * 1000 + instances, 0)
    save_image(region_edges(regions), output / "edge" / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labeled", type=Path, help="nyu_depth_v2_labeled.mat")
    parser.add_argument("--splits", type=Path, required=True, help="splits.mat")
    parser.add_argument("--classes", type=Path, required=True, help="classMapping40.mat")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    import h5py
    from scipy.io import loadmat

    for folder in ("image", "depth", "label", "normal", "edge"):
        (arguments.output / folder).mkdir(parents=True, exist_ok=True)
    mapping = loadmat(arguments.classes)["mapClass"].ravel().astype(np.int64)
    for name, indices in zip(("train", "test"), read_splits(arguments.splits)):
        write_text(arguments.output / f"{name}.txt", "".join(f"{i:04d}\n" for i in sorted(indices)))
    with h5py.File(arguments.labeled, "r") as file:  # MATLAB's axes come in reverse: (frame[, channel], x, y)
        for i in tqdm(range(len(file["images"]))):
            write_frame(
                arguments.output,
                f"{i + 1:04d}",
                file["images"][i].transpose(2, 1, 0),
                file["depths"][i].T,
                file["labels"][i].T,
                file["instances"][i].T,
                mapping,
            )


if __name__ == "__main__":
    run_program(main)
