# SPDX-License-Identifier: Apache-2.0
"""Several processes (torchrun) on one run: each takes its part of every batch, gradients are averaged.

The result is that of one process within rounding, whatever the number of processes: valid pixels are counted over
the whole batch (losses.ValidCounts), and so are the statistics of batch normalisation, unless sync_batch_norm is off.
Only random numbers inside the network (dropout, the bottleneck's noise) differ with the number of processes.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, ContextManager, Dict

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce as differentiable_all_reduce


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose training statistics are those of all processes' batches, of equal size.

    nn.SyncBatchNorm does the same on GPUs alone. Never constructed: ``synchronise`` turns layers into it.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        world = dist.get_world_size()
        y = x.float()
        mean = differentiable_all_reduce(y.mean((0, 2, 3))) / world
        centred = y - mean.view(1, -1, 1, 1)
        variance = differentiable_all_reduce(centred.square().mean((0, 2, 3))) / world
        self._update_statistics(mean.detach(), variance.detach(), x.numel() // x.shape[1] * world)
        y = centred * ((variance + self.eps).rsqrt() * self.weight).view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return y.to(x.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / max(1, count - 1)), momentum)


def synchronise(network: nn.Module, on: bool) -> None:
    """Turns every batch normalisation into its synchronised form, or back."""
    source, target = (nn.BatchNorm2d, SynchronisedBatchNorm2d) if on else (SynchronisedBatchNorm2d, nn.BatchNorm2d)
    for module in network.modules():
        if type(module) is source:
            module.__class__ = target


class _TrainingOutputs(nn.Module):
    """DistributedDataParallel calls ``forward`` alone."""

    def __init__(self, network: nn.Module, pre_relu: bool):
        super().__init__()
        self.network, self.pre_relu = network, pre_relu

    def forward(self, x: Tensor) -> Dict[str, Any]:
        return self.network.training_outputs(x, pre_relu=self.pre_relu)


class Parallel:
    """This process's place among those that torchrun started; alone without torchrun."""

    def __init__(self, device: torch.device = torch.device("cpu")):
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = device
        if device.type == "cuda":
            self.device = torch.device("cuda", device.index or int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(self.device)
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def main(self) -> bool:
        """Whether this process validates, logs and saves."""
        return self.rank == 0

    def wrap(self, network: nn.Module, sync_batch_norm: bool, pre_relu: bool) -> nn.Module:
        """A module whose call gives ``network.training_outputs`` and whose backward averages gradients."""
        outputs = _TrainingOutputs(network, pre_relu)
        if self.world == 1:
            return outputs
        synchronise(network, sync_batch_norm)
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(outputs, device_ids=ids, broadcast_buffers=False, find_unused_parameters=True)

    def collect_only(self, model: nn.Module, last: bool) -> ContextManager:
        """Context of one accumulated piece: gradients are averaged over the processes after the last one only."""
        return contextlib.nullcontext() if last or self.world == 1 else model.no_sync()

    def part(self, batch: int, accumulate: int) -> slice:
        """This process's samples of a batch."""
        if batch % (self.world * accumulate):
            raise ValueError(
                f"train: a batch of {batch} is not divisible by {self.world} processes x {accumulate} accumulated pieces"
            )
        share = batch // self.world
        return slice(self.rank * share, (self.rank + 1) * share)

    def total(self, x: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.world > 1:
            dist.all_reduce(x)
        return x

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return flag if self.world == 1 else bool(self.total(torch.tensor(float(flag), device=self.device)))

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.world > 1:
            dist.barrier()

    def close(self) -> None:
        """Leaves the group of processes."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
