# SPDX-License-Identifier: Apache-2.0
"""What is run in a round: programs of ours and of the peers, each a process whose output becomes records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from . import environment, results

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = REPOSITORY / "benchmarks" / "peers"
LAYERS = (
    "3x3/256x256/56x56",
    "3x3/128x128/56x56",
    "3x3/64x64/56x56",
    "1x1/256x256/56x56",
    "3x3/18x18/120x160",
    "3x3/36x36/60x80",
    "3x3/72x72/30x40",
    "3x3/144x144/15x20",
    "3x3/256x256/56x56/stride2",
    "3x3/256x256/56x56/dilation4",
    "5x5/64x64/56x56",
    "7x7/64x64/56x56",
    "3x3/256x256/56x56/groups4",
    "3x3/256x256/56x56/depthwise",
)
FLOAT_LAYERS = (
    "3x3/3x64/240x320/stride2",
    "3x3/64x64/56x56",
    "3x3/18x18/120x160",
    "1x1/256x256/30x40",
    "1x1/270x270/120x160",
    "1x1/270x40/120x160",
    "1x1/96x24/120x160",
    "3x3/96x96/120x160/depthwise",
    "5x5/144x144/60x80/depthwise",
)
CHAINS = tuple(
    f"{kind}/{shape}" for kind in ("bn_sign", "bi_real") for shape in ("256/56x56", "64/56x56", "18/120x160", "36/60x80")
)
SIZE = (480, 640)


@dataclass
class Job:
    """A command, what it needs, and how its output is read."""

    command: List[str]
    read: Callable[[str], List[dict]]
    package: Optional[str] = None  # a Python package
    environment: Dict[str, str] = field(default_factory=dict)
    prefix: Optional[str] = None  # replaces the first part of the records' names
    prepare: Callable[[], None] = lambda: None

    def run(self) -> List[dict]:
        self.prepare()
        done = subprocess.run(self.command, capture_output=True, text=True, env={**os.environ, **self.environment})
        if done.returncode != 0:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise RuntimeError(f"{Path(self.command[0]).name} {' '.join(self.command[1:3])}: {last}")
        records = self.read(done.stdout)
        if self.prefix:
            records = [{**r, "name": f"{self.prefix}/{r['name'].partition('/')[2]}"} for r in records]
        return records


def _last_line(text: str) -> List[dict]:
    return json.loads(text.strip().splitlines()[-1])


class Programs:
    """Makes jobs. seconds: how long each benchmark of a layer repeats; networks take four times as long."""

    def __init__(self, build: Path, models: Path, seconds: float):
        self.build, self.models, self.seconds = build / "benchmarks", models, seconds

    def google(self, program: str, arguments: Sequence[str] = (), **options) -> Job:
        return Job([str(self.build / program), "--benchmark_format=json", *arguments], results.from_google_benchmark, **options)

    def kernels(self, pattern: str) -> Job:
        return self.google("bench_kernels", [f"--benchmark_min_time={self.seconds}", f"--benchmark_filter={pattern}"])

    def chains(self, pattern: str) -> Job:
        return self.google("bench_chain", [f"--benchmark_min_time={self.seconds}", f"--benchmark_filter={pattern}"])

    def onednn(self, layers: Sequence[str], limit: str = "", prefix: Optional[str] = None) -> Job:
        variables = {"OMP_NUM_THREADS": "1", **({"DNNL_MAX_CPU_ISA": limit} if limit else {})}
        return self.google(
            "bench_onednn", [f"--benchmark_min_time={self.seconds / 2}", *layers], environment=variables, prefix=prefix
        )

    def peer(self, script: str, package: str, arguments: Sequence[str], seconds: float, **options) -> Job:
        return Job([sys.executable, str(PEERS / script), *arguments, "--seconds", str(seconds)], _last_line, package, **options)

    def ours(self, model: Path, size=SIZE, threads: int = 1, tier: str = "", profile: Optional[Path] = None, **options) -> Job:
        arguments = [f"--benchmark_min_time={4 * self.seconds}", str(model), *map(str, (*size, threads))]
        return self.google(
            "bench_network",
            arguments + ([str(profile)] if profile else []),
            environment={"BIMTDP_ISA": tier} if tier else {},
            **options,
        )

    def network(self, name: str, **options) -> Job:
        return self.ours(self.models / f"{name}.safetensors", prepare=lambda: self._make(name, "model"), **options)

    def engine(self, engine: str, name: str, kind: str, threads: int = 1) -> Job:
        file = self.models / (f"{name}.safetensors" if kind == "model" else f"{name}.{kind}.onnx")
        arguments = [engine, str(file), *map(str, (*SIZE, threads))]
        package = "onnxruntime" if engine == "onnxruntime" else "openvino"
        return self.peer("run_network.py", package, arguments, 4 * self.seconds, prepare=lambda: self._make(name, kind))

    def _make(self, name: str, kind: str) -> None:
        """The files are made in a process of their own, which has torch."""
        command = [sys.executable, "-m", "bimtdp_bench.networks", str(self.models), name, kind]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{name} ({kind}) could not be made: {done.stderr.strip().splitlines()[-1]}")


_TIERS = "(avx512|avx2|neon)"


def layer_jobs(p: Programs) -> List[Job]:
    jobs = [
        p.kernels(f"/{_TIERS}/"),
        p.chains(f"/{_TIERS}/"),
        p.peer("openvino_layers.py", "openvino", [*LAYERS, *CHAINS], p.seconds),
        p.peer("ncnn_layers.py", "ncnn", LAYERS, p.seconds / 2),
        p.peer("onnxruntime_layers.py", "onnxruntime", FLOAT_LAYERS, p.seconds),
    ]
    if (p.build / "bench_onednn").exists():
        every = sorted({*LAYERS, *FLOAT_LAYERS})
        jobs.append(p.onednn(every))
        if "amx_int8" in environment.cpu_flags():
            jobs.append(p.onednn(LAYERS, "AVX512_CORE_VNNI", "onednn_no_amx"))
        if "avx512f" in environment.cpu_flags():
            jobs.append(p.onednn(every, "AVX2", "onednn_avx2"))
    return jobs


def network_jobs(p: Programs, widths: Sequence[str]) -> List[Job]:
    """Ours and the peers', one and two threads, turn by turn."""
    jobs = []
    for width in widths:
        binary, twin = f"bi_mtdp_{width}", f"mti_net_{width}"
        jobs += [p.network(binary, tier="avx2"), p.network(twin), p.engine("openvino_default", twin, "fp32")]
        for threads in (1, 2):
            jobs += [p.network(binary, threads=threads), p.engine("openvino_binary", binary, "model", threads)]
            jobs += [p.engine(engine, twin, kind, threads) for kind in ("fp32", "int8") for engine in ("onnxruntime", "openvino")]
    return jobs


def c_jobs(p: Programs) -> List[Job]:
    jobs = [
        p.network("mti_net_lite0"),
        p.engine("onnxruntime", "mti_net_lite0", "fp32"),
        p.engine("openvino", "mti_net_lite0", "fp32"),
        p.engine("openvino_default", "mti_net_lite0", "fp32"),
    ]
    return jobs + [p.network(f"bi_mtdp_c_{b}_{scope}") for b in ("lite0", "w18") for scope in ("mmd", "decoder")]


def scaling_jobs(p: Programs) -> List[Job]:
    """Sizes of the photo at W18, and the third width."""
    sizes = ((96, 128), (192, 256), (288, 384), (384, 512), (768, 1024), (960, 1280))
    return [p.network("bi_mtdp_w18", size=size) for size in sizes] + [p.network("bi_mtdp_w32")]


def smoke_jobs(build: Path, models: Sequence[Path]) -> List[Job]:
    p = Programs(build, build, 0.001)
    return [p.kernels("."), p.chains(".")] + [p.ours(m, (64, 96), t, profile=build / "profile.csv") for m in models for t in (1, 2)]
