# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: how rounds become one, how they are stored, and what became slower.

A record is {"name": ..., field: number, ...}; times are microseconds, memory is bytes. Results are
{name: {field: {"min": ..., "median": ...}}}, over the rounds. Our own names begin with family/tier/.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional

from bimtdp_torch.files import write_text

SCHEMA = 1
Results = Dict[str, Dict[str, Dict[str, float]]]
OURS = ("binary_conv2d", "binary_conv2d_bits", "conv2d", "binarize", "epilogue", "resize_bilinear", "softmax", "chain", "network")
REFERENCE_LAYER = "3x3/256x256/56x56"  # its peak is the unit of time of a tier
_TIMES = ("best_us", "cpu_us")


def is_field(key: str) -> bool:
    return key.endswith(("_us", "_bytes")) or key in ("macs", "share_of_peak", "share_of_copy")


def from_google_benchmark(text: str) -> List[dict]:
    """Records of a program's JSON output; benchmarks that ended in an error are left out."""
    records = []
    for entry in json.loads(text)["benchmarks"]:
        if entry.get("error_occurred"):
            continue
        name = entry["name"].removesuffix("/real_time").removesuffix("/process_time")
        records.append({"name": name, **{k: v for k, v in entry.items() if is_field(k)}})
    return records


def collate(rounds: Iterable[Iterable[Mapping[str, Any]]]) -> Results:
    """Minimum and median of every field over the rounds; records with an error are left out."""
    values: Dict[str, Dict[str, List[float]]] = {}
    for records in rounds:
        for record in records:
            if "error" in record:
                continue
            for field, value in record.items():
                if is_field(field):
                    values.setdefault(record["name"], {}).setdefault(field, []).append(float(value))
    return {
        name: {field: {"min": min(v), "median": statistics.median(v)} for field, v in sorted(fields.items())}
        for name, fields in sorted(values.items())
    }


def merge(first: Results, second: Results) -> Results:
    """The better of two runs: the smaller minimum of each time, the larger of each share."""
    merged = {name: {field: dict(value) for field, value in fields.items()} for name, fields in first.items()}
    for name, fields in second.items():
        for field, value in fields.items():
            mine = merged.setdefault(name, {}).setdefault(field, dict(value))
            better = max if field.startswith("share_of_") else min
            merged[name][field] = {key: better(mine[key], value[key]) for key in ("min", "median")}
    return merged


def get(results: Results, name: str, *fields: str, statistic: str = "min") -> Optional[float]:
    """The first of the fields that a result has, or None."""
    for field in fields:
        if field in results.get(name, {}):
            return results[name][field][statistic]
    return None


def time_us(results: Results, name: str) -> Optional[float]:
    """The fastest run's processor time; clock time where several threads worked."""
    return get(results, name, *(("wall_us",) if "/threads" in name and not name.endswith("/threads1") else _TIMES))


def unit_us(results: Results, tier: str) -> Optional[float]:
    """How long the reference layer would take at the peak of the tier that was measured in the same process."""
    name = f"binary_conv2d/{tier}/{REFERENCE_LAYER}"
    best, share = get(results, name, "best_us"), get(results, name, "share_of_peak", statistic="median")
    return None if best is None or share is None else best * share


def normalised(results: Results) -> Dict[str, float]:
    """Our times in units of what the machine could do in the same process, so that a slower clock changes nothing: a share's
    inverse, or the time in units of the tier's peak."""
    found = {}
    for name in results:
        family, _, rest = name.partition("/")
        if family not in OURS:
            continue
        share = get(results, name, "share_of_peak", "share_of_copy", statistic="median")
        time, unit = time_us(results, name), unit_us(results, rest.partition("/")[0])
        if share:
            found[name] = 1.0 / share
        elif time is not None and unit:
            found[name] = time / unit
    return found


def slower(stored: Results, fresh: Results, tolerance: float = 0.15) -> List[str]:
    """One line for each of our benchmarks that takes more than 1 + tolerance times as long as in the stored run."""
    before, now = normalised(stored), normalised(fresh)
    lines = []
    for name in sorted(before.keys() & now.keys()):
        ratio = now[name] / before[name]
        if ratio > 1.0 + tolerance:
            lines.append(f"{name}: {ratio:.2f}x the stored time")
    return lines


def slower_times(before: Results, now: Results, tolerance: float = 0.03) -> Dict[str, str]:
    """A line for each benchmark whose fastest run takes more than 1 + tolerance times as long as in the other build's results."""
    ratios = {name: (time_us(before, name), time_us(now, name)) for name in sorted(before.keys() & now.keys())}
    return {
        name: f"{name}: {b / a:.3f}x the time before" for name, (a, b) in ratios.items() if a and b and b > (1.0 + tolerance) * a
    }


def save(path: Path, environment: Mapping[str, Any], results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, "environment": environment, "results": rounded(results)}, indent=1, sort_keys=True)
    write_text(path, text + "\n")


def rounded(results: Results) -> Results:
    """Five digits: more is noise."""
    return {
        name: {field: {key: float(f"{v:.5g}") for key, v in value.items()} for field, value in fields.items()}
        for name, fields in results.items()
    }


def load(path: Path) -> dict:
    """The stored run: {"schema", "environment", "results"}. Raises ValueError for another schema."""
    stored = json.loads(path.read_text())
    if stored.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {stored.get('schema')}, expected {SCHEMA}")
    return stored
