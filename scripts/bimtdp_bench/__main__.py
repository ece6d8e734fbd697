# SPDX-License-Identifier: Apache-2.0
"""Runs the suite; scripts/benchmark.sh builds first and then calls this."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import List, Sequence, Set

from bimtdp_torch.files import run_program

from . import environment, jobs, results

STORED = jobs.REPOSITORY / "benchmarks" / "results"


class Runner:
    """Runs jobs in rounds, so that a machine that slows down or speeds up does so for all alike."""

    def __init__(self) -> None:
        self.complaints: Set[str] = set()

    def installed(self, job: jobs.Job) -> bool:
        if job.package is None or importlib.util.find_spec(job.package) is not None:
            return True
        self.complain(f"{job.package} is not installed: skipped")
        return False

    def complain(self, text: str) -> None:
        if text not in self.complaints:
            print(text, file=sys.stderr, flush=True)
        self.complaints.add(text)

    def round(self, todo: Sequence[jobs.Job], label: str) -> List[dict]:
        records: List[dict] = []
        for index, job in enumerate(todo):
            if not self.installed(job):
                continue
            name = " ".join(Path(a).name for a in job.command if not a.startswith("--"))[:70]
            print(f"{label}, {index + 1}/{len(todo)}: {name}", file=sys.stderr, flush=True)
            try:
                records += job.run()
            except RuntimeError as error:
                self.complain(f"skipped: {error}")
        return records

    def rounds(self, todo: Sequence[jobs.Job], count: int) -> results.Results:
        return results.collate([self.round(todo, f"round {i + 1}/{count}") for i in range(count)])


def measure(build: Path, cache: Path, quick: bool) -> results.Results:
    """The suite: a quick run has one network, one round of each job."""
    p = jobs.Programs(build, cache / "models", 0.05 if quick else 0.15)
    runner = Runner()
    if quick:
        return runner.rounds(jobs.layer_jobs(p) + jobs.network_jobs(p, ["w18"]), 1)
    found = runner.rounds(jobs.layer_jobs(p), 3)
    found.update(runner.rounds(jobs.network_jobs(p, ["w18"]) + jobs.c_jobs(p), 3))
    found.update(runner.rounds(jobs.network_jobs(p, ["w48"]), 1))  # OpenVINO takes half a minute to load it
    profile = cache / "profile.csv"
    found.update(
        {
            k: v
            for k, v in runner.rounds(jobs.scaling_jobs(p) + [p.network("bi_mtdp_w18", profile=profile)], 1).items()
            if k not in found
        }
    )
    return found


def sizes(models: Path) -> results.Results:
    """Bytes of the model files."""
    return results.collate([[{"name": f"file/{path.name}", "file_bytes": path.stat().st_size} for path in models.glob("*.*")]])


def check(stored: results.Results, build: Path, cache: Path) -> int:
    """Compares a fresh run of our own programs with the stored one; what seems slower is run again."""
    p, runner = jobs.Programs(build, cache / "models", 0.05), Runner()
    todo = [p.kernels("/(avx512|avx2|neon)/"), p.chains("/(avx512|avx2|neon)/"), p.network("bi_mtdp_w18")]
    fresh: results.Results = {}
    for _ in range(3):
        fresh = results.merge(fresh, runner.rounds(todo, 1))
        lines = results.slower(stored, fresh)
        if not lines:
            print(f"{len(results.normalised(fresh))} benchmarks, none slower than the stored run")
            return 0
    print("\n".join(lines))
    return 1


def against(other: Path, build: Path, cache: Path) -> int:
    """Compares two builds, turn by turn in one run; what seems slower in `build` is run again until the fastest runs agree."""
    runner, best = Runner(), ({}, {})
    sides = [jobs.Programs(folder, cache / "models", 0.05) for folder in (other, build)]
    models = sorted((jobs.REPOSITORY / "examples" / "models").glob("*.safetensors"))
    kernels = chains = "/(avx512|avx2|neon)/"
    lines = {}
    for _ in range(12):
        for index, p in enumerate(sides):
            todo = [run(pattern) for run, pattern in ((p.kernels, kernels), (p.chains, chains)) if pattern]
            best[index].update(results.merge(best[index], runner.rounds(todo + [p.ours(model) for model in models], 1)))
        lines = results.slower_times(*best)
        if not lines:
            print(f"{len(best[1])} benchmarks, none slower than {other} by more than 3 %")
            return 0
        chains = "|".join(f"^{re.escape(name)}$" for name in lines if name.startswith("chain/"))
        kernels = "|".join(f"^{re.escape(name)}$" for name in lines if not name.startswith(("chain/", "network/")))
    print("\n".join(lines.values()))
    return 1


def smoke(build: Path) -> int:
    """Runs everything of ours for a moment."""
    models = sorted((jobs.REPOSITORY / "examples" / "models").glob("*.safetensors"))
    todo = jobs.smoke_jobs(build, models)
    records = [job.run() for job in todo]
    if not all(records):
        print("a benchmark program reported nothing", file=sys.stderr)
        return 1
    print(f"{sum(map(len, records))} benchmarks ran")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/benchmark.sh", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="CMake's build folder")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the networks")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against", type=Path, help="another build folder: both are run turn by turn")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--tables", action="store_true", help="measure nothing: tables and plots of the stored run")
    arguments = parser.parse_args()
    if arguments.smoke:
        return smoke(arguments.build)
    if arguments.against:
        return against(arguments.against, arguments.build, arguments.cache)
    path = (arguments.cache if arguments.quick else STORED) / f"{environment.cpu_slug()}.json"
    if (arguments.check or arguments.tables) and not path.exists():
        print(f"no stored run of this CPU ({path.name}): run scripts/benchmark.sh first", file=sys.stderr)
        return 1
    if arguments.check:
        return check(results.load(path)["results"], arguments.build, arguments.cache)
    if not arguments.tables:
        found = measure(arguments.build, arguments.cache, arguments.quick)
        found.update(sizes(arguments.cache / "models"))
        results.save(path, environment.describe(jobs.REPOSITORY), found)
    from . import plots, tables

    stored = results.load(path)
    made = tables.all_tables(stored)
    print("\n\n".join(made.values()))
    if not arguments.quick:
        for document in tables.DOCUMENTS:
            tables.insert(document, made)
    plots.draw_all(stored, path.with_suffix(""), arguments.cache / "profile.csv")
    return 0


if __name__ == "__main__":
    run_program(main)
