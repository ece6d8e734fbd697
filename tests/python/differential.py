#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random small networks, converted and compared with PyTorch: differential.py [--count 2000] [--first 0].

Every network is compared as convert.py does: each node on PyTorch's own inputs, then running freely, then the tiers with each
other; signs of integers without tolerance. A failure prints its seed and the smallest network that still fails.

One sign of a small layer is more than the 1 in 10,000 that may differ when a network runs freely; such networks are counted,
and fail unless sums in them are as near to 0 as a float sum's rounding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import torch

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "scripts")]
from random_kinds import Impossible  # noqa: E402
from random_networks import RandomNetwork, Recipe, draw  # noqa: E402
from tqdm import tqdm  # noqa: E402

from bimtdp_torch.export import ConversionError, FlippedSignsError, Options, Result, Source, convert  # noqa: E402
from bimtdp_torch.export.pipeline import Conversion  # noqa: E402

_NEAR = 1e-5  # of the largest value: where a sign may differ
Check = Callable[[Recipe], Optional[str]]


class Report:
    """What became of some networks."""

    def __init__(self) -> None:
        self.compared, self.nodes, self.ties, self.travelled, self.largest = 0, 0, 0, 0, 0.0
        self.refused: Counter = Counter()
        self.kinds: Counter = Counter()
        self.failures: List[str] = []

    def __str__(self) -> str:
        refused = "".join(f"\n  refused {count}: {reason}" for reason, count in self.refused.most_common())
        return (
            f"{self.compared} networks compared, {self.nodes} nodes, {self.ties} ties, largest difference {self.largest:.1e} of a "
            f"tensor's largest value; in {self.travelled} more a tie travelled on, {sum(self.refused.values())} refused by the "
            f"converter, {len(self.failures)} failures{refused}"
        )

    def add(self, result: Result) -> None:
        """A network that agrees."""
        self.compared += 1
        self.nodes += result.nodes
        self.ties += result.flips()
        self.largest = max(self.largest, result.largest())


def _has_ties(source: Source, options: Options) -> bool:
    """Whether signs are taken of sums that are near 0: a float sum of another order may fall the other way."""
    conversion = Conversion(source, Path("unwritten"), options)
    conversion.build(conversion.photo(options.seed))
    presigns = [node.presign.abs() for node in conversion.nodes if node.presign is not None]
    return any(bool((p <= _NEAR * p.max()).any()) for p in presigns)


def compare(recipe: Recipe, report: Report) -> Optional[str]:
    """What is wrong with a network in the C++ library, or None. ConversionError: the converter refuses it."""
    source = Source(RandomNetwork(recipe).eval(), "random")
    options = Options(quiet=True, self_test_size=recipe.size, channels=recipe.channels, floats=recipe.floats)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report.add(convert(source, Path(folder) / "random.safetensors", options))
        except ConversionError:
            raise
        except FlippedSignsError as error:
            if not _has_ties(source, options):
                return f"{error}, and no sum is near 0"
            report.travelled += 1
        except Exception as error:  # whatever it is, it is a finding
            return f"{type(error).__name__}: {error}"
    return None


def fails(recipe: Recipe) -> Optional[str]:
    """As ``compare``, but what cannot be built or converted does not fail."""
    try:
        return compare(recipe, Report())
    except (Impossible, ConversionError):
        return None


def _needed(recipe: Recipe) -> Recipe:
    """Without the steps that no output needs."""
    needed = set(recipe.outputs)
    for step in reversed(recipe.steps):
        if step.number in needed:
            needed.update(step.inputs)
    return replace(recipe, steps=tuple(step for step in recipe.steps if step.number in needed))


def _smaller(recipe: Recipe) -> Iterator[Recipe]:
    """Networks that are a little smaller, the most hopeful first."""
    for step in recipe.steps:
        if recipe.outputs != (step.number,):
            yield _needed(replace(recipe, outputs=(step.number,)))
    for step in recipe.steps:  # its readers read what it read
        for source in dict.fromkeys(step.inputs):
            rest = tuple(
                other._replace(inputs=tuple(source if i == step.number else i for i in other.inputs))
                for other in recipe.steps
                if other.number != step.number
            )
            outputs = tuple(sorted({source if i == step.number else i for i in recipe.outputs} - {0}))
            if rest and outputs:
                yield _needed(replace(recipe, steps=rest, outputs=outputs))
    for axis, extent in enumerate(recipe.size):
        for less in sorted({1, extent // 2, extent - 1} - {0, extent}):
            yield replace(recipe, size=tuple(less if n == axis else e for n, e in enumerate(recipe.size)))
    for position, step in enumerate(recipe.steps):
        groups = step.options.get("groups", 1)
        for less in sorted({groups, step.options.get("out", 1) // 2 // groups * groups} - {0}):
            if less < step.options.get("out", 1):
                smaller = step._replace(options={**step.options, "out": less})
                yield replace(recipe, steps=(*recipe.steps[:position], smaller, *recipe.steps[position + 1 :]))


def smallest(recipe: Recipe, check: Check = fails) -> Recipe:
    """The smallest network that one finds by making a failing one smaller as long as it fails."""
    while True:
        for candidate in _smaller(recipe):
            if check(candidate) is not None:
                recipe = candidate
                break
        else:
            return recipe


def run(first: int, count: int, progress: bool = False) -> Report:
    """Compares the networks of ``count`` seeds."""
    report = Report()
    for seed in tqdm(range(first, first + count), disable=not progress, dynamic_ncols=True):
        recipe = draw(seed)
        report.kinds.update(step.kind for step in recipe.steps)
        try:
            problem = compare(recipe, report)
        except ConversionError as error:
            report.refused[str(error).split(": ", 1)[-1][:100]] += 1
            continue
        if problem is not None:
            small = smallest(recipe)
            report.failures.append(f"seed {seed}: {problem}\nthe smallest network that fails ({fails(small)}):\n  {small}")
            if progress:
                tqdm.write(report.failures[-1])
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="networks (2000)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="seed of the first (0)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.time()
    report = run(arguments.first, arguments.count, progress=True)
    print(f"{report}\nsteps: {', '.join(f'{kind} {count}' for kind, count in sorted(report.kinds.items()))}")
    print(f"{time.time() - started:.0f} s")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
