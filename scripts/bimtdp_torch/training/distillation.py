# SPDX-License-Identifier: Apache-2.0
"""A teacher's output maps and features for the student (feature distillation: Bi-MTDP, eq. (5))."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..checkpoints import read_checkpoint, save_checkpoint
from ..data.nyud import Frames, TeacherMaps
from ..data.samples import normalise
from ..networks.pointwise import speed_up_pointwise
from ..sources import load_checkpoint
from .losses import resize_map
from .precision import autocast

Pairs = Dict[str, Tensor]  # name of the tensor -> (B, C, H, W)


def load_teacher(path: str, device: torch.device) -> nn.Module:
    """The network of a checkpoint, in evaluation mode, without gradients."""
    network = load_checkpoint(Path(path)).network.requires_grad_(False)
    speed_up_pointwise(network)
    return network.to(device=device, memory_format=torch.channels_last)


# -- maps of whole frames, computed once ------------------------------------------------------------------------------


@torch.no_grad()
def compute_teacher_maps(
    teacher: nn.Module, frames: Frames, size: Tuple[int, int], bf16: bool, check: Callable[[], None] = lambda: None
) -> TeacherMaps:
    """Outputs of the teacher, as small as its heads give them, for every frame and its mirror image.

    ``check`` is called between frames and may raise.
    """
    device = next(teacher.parameters()).device
    collected: Dict[str, List[Tensor]] = {}
    for index in tqdm(range(len(frames.ids)), desc="teacher", mininterval=5, dynamic_ncols=True):
        check()
        photo = F.interpolate(frames.image[index : index + 1], size, mode="bilinear", antialias=True).float() / 255
        pair = normalise(torch.cat((photo, photo.flip(3)))).to(device, memory_format=torch.channels_last)
        with autocast(device, bf16):
            maps = teacher.maps(pair)
        for task, value in maps.items():
            collected.setdefault(task, []).append(value.to("cpu", torch.float16))
    return TeacherMaps({task: torch.stack(values) for task, values in collected.items()})


def _cache_key(options: Mapping[str, Any], size: Sequence[int], frames: Frames, bf16: bool) -> str:
    digest = hashlib.sha256(Path(options["teacher"]).read_bytes())
    digest.update(repr((tuple(size), frames.ids, bf16)).encode())
    return digest.hexdigest()[:16]


def cached_teacher_maps(
    options: Mapping[str, Any],
    frames: Frames,
    size: Tuple[int, int],
    bf16: bool,
    output: Path,
    device: torch.device,
    check: Callable[[], None],
) -> TeacherMaps:
    """NYUD: maps from ``distillation.cache`` (default: the output folder), computed first where they are not there.

    The file's name holds a digest of teacher, size and frames, so runs may share a folder.
    """
    if not isinstance(frames, Frames):
        raise ValueError("distillation.maps: maps of whole photos cannot follow PASCAL's rotations; use online")
    folder = Path(options["cache"] or output)
    cache = folder / f"teacher_maps_{_cache_key(options, size, frames, bf16)}.pt"
    if not cache.exists():
        maps = compute_teacher_maps(load_teacher(options["teacher"], device), frames, size, bf16, check)
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(maps.maps, cache)
    return TeacherMaps(read_checkpoint(cache))


# -- features of the augmented batch ----------------------------------------------------------------------------------
# A binary network's tensors before a sign have both signs, a teacher's map behind a ReLU has not; so with ``pre_relu``
# training_outputs gives what the ReLU was fed.


def feature_tensors(outputs: Mapping[str, Any], group: str) -> Pairs:
    """The tensors of one group of ``training_outputs``, by name: backbone.2, features.0.depth, hidden.depth, ..."""
    result: Pairs = {}

    def collect(name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            result[name] = value
        elif isinstance(value, Mapping):
            for key, item in value.items():
                collect(f"{name}.{key}", item)
        else:
            for index, item in enumerate(value):
                collect(f"{name}.{index}", item)

    if group in outputs:
        collect(group, outputs[group])
    return result


def online_size(config: Mapping[str, Any]) -> Optional[Tuple[int, int]]:
    """Size of the batch that an online teacher sees, where it is not the student's."""
    options = config.get("distillation") or {}
    online = options.get("features") or (options.get("weight", 0) > 0 and options.get("maps") == "online")
    return tuple(options["size"]) if online and options["size"] else None


class OnlineTeacher:
    """Runs the teacher on the student's batch."""

    def __init__(self, teacher: nn.Module, groups: Sequence[str], pre_relu: bool):
        self.teacher, self.groups, self.pre_relu = teacher, tuple(groups), pre_relu

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Dict[str, Any]:
        """``maps`` (task -> map) and ``features`` (group -> name -> tensor) of a batch."""
        if not self.groups:
            return {"maps": self.teacher.maps(image), "features": {}}
        outputs = self.teacher.training_outputs(image, pre_relu=self.pre_relu)
        return {"maps": outputs["maps"], "features": {group: feature_tensors(outputs, group) for group in self.groups}}


def _pair_loss(name: str, student: Tensor, teacher: Tensor) -> Tensor:
    if student.shape[1] != teacher.shape[1]:
        raise ValueError(
            f"distillation.features: {name} has {student.shape[1]} channels in the student and "
            f"{teacher.shape[1]} in the teacher; choose a teacher of the same widths or other groups"
        )
    return F.mse_loss(student.float(), resize_map(teacher, tuple(student.shape[-2:])))


def feature_losses(outputs: Mapping[str, Any], teacher: Mapping[str, Pairs]) -> Dict[str, Tensor]:
    """Group -> mean over its pairs of the mean squared error; a group without a pair is an error.

    outputs: the student's ``training_outputs``; teacher: ``features`` of :class:`OnlineTeacher`.
    """
    losses = {}
    for group, targets in teacher.items():
        own = feature_tensors(outputs, group)
        shared = [name for name in own if name in targets]
        if not shared:
            raise ValueError(
                f"distillation.features: student and teacher share no tensor of the group {group!r} "
                f"(student: {len(own)}, teacher: {len(targets)}); leave it out of groups"
            )
        losses[group] = sum(_pair_loss(name, own[name], targets[name]) for name in shared) / len(shared)
    return losses
