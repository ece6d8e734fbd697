# SPDX-License-Identifier: Apache-2.0
"""PASCAL-Context with five tasks, in the layout of the public archive PASCAL_MT (Maninis et al., "Attentive
Single-Tasking of Multiple Tasks", CVPR 2019; the one that MTI-Net's public repository downloads and reads).

    JPEGImages/ID.jpg
    ImageSets/Context/train.txt, val.txt       one ID a line
    semseg/VOC12/ID.png                        0..20, 255 unknown; semseg/pascal-context/ID.png where VOC12 has none
    human_parts/ID.mat                         anno.objects(i): class_ind, mask, parts(j): part_name, mask
    pascal-context/trainval/ID.mat             LabelMap: 459 classes; its boundaries, thinned, are the edges
    normals_distill/ID.png                     n = v / 127.5 - 1, made by a network; valid on indoor classes only
    sal_distill/ID.png                         salient where > 127, made by a network

Photos have different sizes; they are read when they are needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image

from .checks import Picture, check_kind, check_mat, check_picture, check_values, for_all, naming, read_ids
from .photo_files import read_labelled_photo
from .thinning import thin

UNKNOWN = 255
CLASS_NAMES = tuple(
    "background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,"
    "person,pottedplant,sheep,sofa,train,tvmonitor".split(",")
)
PART_NAMES = ("background", "head", "torso", "upper arm", "lower arm", "upper leg", "lower leg")
_PERSON = 15
_PARTS = {
    **dict.fromkeys("hair head lear rear lebrow rebrow leye reye mouth nose".split(), 1),
    **dict.fromkeys("neck torso".split(), 2),
    **dict.fromkeys("luarm ruarm".split(), 3),
    **dict.fromkeys("lhand rhand llarm rlarm".split(), 4),
    **dict.fromkeys("luleg ruleg".split(), 5),
    **dict.fromkeys("lfoot rfoot llleg rlleg".split(), 6),
}
# Classes of LabelMap whose names are classes of NYU Depth v2, too, and tvmonitor: the network behind the normals knew
# rooms only. (MTI-Net's repository computes these numbers from its two lists of class names.)
NORMAL_CLASSES = np.array(
    [
        int(number)
        for number in """
3 4 6 9 10 11 13 15 17 18 22 23 29 30 33 34 36 37 38 39 41 43 46 49 50 51 53 55 56 59 61 62 65 66 68 69 72 73 78 83 84 85
87 88 95 96 101 104 105 107 111 113 115 122 124 135 141 142 143 146 150 154 157 158 159 165 172 174 181 183 184 191 193
195 197 199 202 213 215 216 219 220 223 225 228 230 232 233 238 239 242 243 246 250 251 252 255 260 261 263 269 272 273
275 281 283 284 285 286 287 288 290 291 292 293 295 304 307 309 310 314 315 319 323 329 330 331 336 342 345 349 350 351
352 355 357 368 370 371 374 379 380 383 384 397 401 403 405 407 408 411 412 413 414 417 419 421 423 427 429 430 432 440
441 442 443 444 446 454 457""".split()
    ]
)


class PascalFrames(NamedTuple):
    """Some photos of the archive, and which tasks' labels are read."""

    root: Path
    ids: List[str]
    tasks: Tuple[str, ...]


def read_list(root: Path, name: str) -> List[str]:
    """IDs of ``train`` or ``val`` (``test`` means val: the data has no public test part)."""
    path = Path(root) / "ImageSets" / "Context" / f"{'val' if name == 'test' else name}.txt"
    return read_ids(path, f"; is {root} the folder PASCAL_MT?")


class _Files(NamedTuple):
    """The files of a frame."""

    root: Path
    name: str

    @property
    def photo(self) -> Path:
        return self.root / "JPEGImages" / f"{self.name}.jpg"

    @property
    def semseg(self) -> Path:
        path = self.root / "semseg" / "VOC12" / f"{self.name}.png"
        return path if path.is_file() else self.root / "semseg" / "pascal-context" / path.name

    @property
    def human_parts(self) -> Path:
        return self.root / "human_parts" / f"{self.name}.mat"

    @property
    def context(self) -> Path:
        return self.root / "pascal-context" / "trainval" / f"{self.name}.mat"

    @property
    def normals(self) -> Path:
        return self.root / "normals_distill" / f"{self.name}.png"

    @property
    def sal(self) -> Path:
        return self.root / "sal_distill" / f"{self.name}.png"


def _checks(files: _Files, tasks: Sequence[str]) -> Iterator[Callable[[], None]]:
    """What is looked at before a run."""
    yield lambda: check_picture(Picture(files.photo, upright=True))
    if "semseg" in tasks:
        yield lambda: check_values(files.semseg, _pixels(files.semseg, ("L", "P")), len(CLASS_NAMES), (UNKNOWN,))
    if "human_parts" in tasks:
        yield lambda: check_mat(files.human_parts, "anno")
    if "sal" in tasks:
        yield lambda: check_picture(Picture(files.sal, ("L", "P")))
    if "normals" in tasks:
        yield lambda: check_picture(Picture(files.normals, ("RGB", "RGBA")))
    if {"edge", "normals"} & set(tasks):
        yield lambda: check_mat(files.context, "LabelMap")


def check_frames(root: Path, ids: Sequence[str], tasks: Sequence[str]) -> None:
    """Every file that the tasks need, in seconds: labels' values, other pictures' headers, MAT-files' checksums. DataError:
    what is missing, damaged or of another kind."""
    if set(tasks) & {"human_parts", "edge", "normals"}:
        _scipy()
    for_all(lambda check: check(), [check for i in ids for check in _checks(_Files(Path(root), i), tasks)], "checking")


def _scipy() -> Any:
    try:
        import scipy.io
    except ImportError as error:
        raise ValueError("PASCAL's .mat files need scipy: pip install scipy") from error
    return scipy.io


def _load_mat(path: Path) -> dict:
    with naming(path):
        return _scipy().loadmat(path, squeeze_me=True, struct_as_record=False)


def _pixels(path: Path, modes: Tuple[str, ...] = ()) -> np.ndarray:
    with naming(path), Image.open(path) as image:
        check_kind(image, modes)
        return np.asarray(image)  # a palette's indices, not its colours


def _fitting(array: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """(H, W) resized by nearest where a file of the archive is not of the photo's size."""
    if array.shape == size:
        return array
    rows, columns = ((np.arange(n) * old // n) for n, old in zip(size, array.shape))
    return array[rows[:, None], columns]


def human_parts(anno, size: Tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 parts 1..6 of all persons, later objects over earlier ones; 0 elsewhere."""
    result = np.zeros(size, np.uint8)
    for item in np.atleast_1d(anno.objects):
        if int(item.class_ind) != _PERSON:
            continue
        for part in np.atleast_1d(item.parts):
            name = str(part.part_name)
            if name not in _PARTS:
                raise ValueError(f"a person has a part {name!r}, expected one of {', '.join(_PARTS)}")
            result[_fitting(np.asarray(part.mask, bool), size)] = _PARTS[name]
    return result


def label_boundaries(labels: np.ndarray) -> np.ndarray:
    """(H, W) booleans: where the Laplacian of the class numbers is not 0, thinned (as in MTI-Net's reader)."""
    padded = np.pad(labels.astype(np.int64), 1, mode="reflect")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return thin(neighbours != 4 * labels.astype(np.int64))


def read_frame(frames: PascalFrames, index: int) -> Dict[str, np.ndarray]:
    """Photo (H, W, 3) uint8 and the tasks' labels at its size: semseg, human_parts, sal (H, W) uint8, edge (H, W)
    bool, normals (H, W, 3) float32, unit length or 0."""
    files = _Files(frames.root, frames.ids[index])
    with naming(files.photo):
        result = {"image": np.asarray(read_labelled_photo(files.photo))}
    size = result["image"].shape[:2]
    if {"edge", "normals"} & set(frames.tasks):
        context = _fitting(_load_mat(files.context)["LabelMap"], size)
    if "semseg" in frames.tasks:
        result["semseg"] = _fitting(_pixels(files.semseg), size)
    if "human_parts" in frames.tasks:
        anno = _load_mat(files.human_parts)["anno"]
        with naming(files.human_parts):
            result["human_parts"] = human_parts(anno, size)
    if "sal" in frames.tasks:
        result["sal"] = (_fitting(_pixels(files.sal), size) > 127).astype(np.uint8)
    if "edge" in frames.tasks:
        result["edge"] = label_boundaries(context)
    if "normals" in frames.tasks:
        stored = _pixels(files.normals)
        normal = np.stack([_fitting(stored[..., i], size) for i in range(3)], -1).astype(np.float32) / 127.5 - 1
        length = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        result["normals"] = normal / length * np.isin(context, NORMAL_CLASSES)[..., None]
    return result
