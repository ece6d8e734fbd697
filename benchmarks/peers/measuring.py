# SPDX-License-Identifier: Apache-2.0
"""What the programs of the peers share: names of layers, timing, memory, JSON on standard output."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List


@dataclass(frozen=True)
class Layer:
    """A convolution, named as in bench_kernels: 3x3/256x256/56x56, then /strideN, /dilationN, /groupsN or /depthwise."""

    name: str
    kernel: int
    channels: int
    outputs: int
    height: int
    width: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2 * self.dilation


def parse_layer(name: str) -> Layer:
    match = re.fullmatch(r"(\d+)x\1/(\d+)x(\d+)/(\d+)x(\d+)((?:/\w+)*)", name)
    if match is None:
        raise ValueError(f"{name} is no layer (expected for instance 3x3/256x256/56x56)")
    options = {}
    for option in match[6].split("/")[1:]:
        key, value = re.fullmatch(r"([a-z]+)(\d*)", option).groups()
        options["groups" if key == "depthwise" else key] = int(value or match[2])
    return Layer(name, *(int(match[i]) for i in range(1, 6)), **options)


def parse_arguments(description: str) -> argparse.Namespace:
    """names and seconds, the arguments of the programs that time layers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seconds", type=float, default=0.5)
    return parser.parse_args()


def memory(key: str = "VmRSS") -> int:
    """Bytes of a line of /proc/self/status."""
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":")), 0)


def measure(run: Callable[[], Any], seconds: float, least: int = 3) -> Dict[str, float]:
    """Clock and processor time of repeated runs in microseconds, minimum and median, after one run to warm up."""
    run()
    wall: List[float] = []
    cpu: List[float] = []
    end = time.perf_counter() + seconds
    while len(wall) < least or time.perf_counter() < end:
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        run()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return {"wall_us": min(wall) * 1e6, "wall_median_us": statistics.median(wall) * 1e6,
            "cpu_us": min(cpu) * 1e6, "cpu_median_us": statistics.median(cpu) * 1e6}


def report(results: List[dict]) -> None:
    """The last line of a program's output."""
    print(json.dumps(results), flush=True)
