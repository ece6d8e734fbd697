# SPDX-License-Identifier: Apache-2.0
"""The results table from records: Markdown for people, CSV with everything.

A layout (YAML) lists the rows in order:

    title: HRNet-W18                        # one table; several may follow one another
    reference: single_float                 # id of the row whose figures Delta_MTL compares with
    rows:
      - {id: single_float, title: "single task, float", runs: [single_task_w18_semseg, single_task_w18_depth]}
      - {title: Bi-MTDP, runs: [bi_mtdp_w18], summary: "Bi-MTDP, HRNet-W18"}    # its title in the short table, if it is there

A row of several runs is a set of networks, one a task: their metrics are joined, their costs added. Records of the same
row with other seeds (NAME_seed2.json) make a mean with a standard deviation. Rows without records are left out.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import yaml

from ..files import write_text
from ..metrics import TASK_FIGURES, delta_mtl

_SEED = re.compile(r"_seed\d+$")
COSTS = ("parameters, M", "file, MB", "GMAC", "GBOP", "time, ms")
SUMMARY_COSTS = ("file, MB", "time, ms")


class Row(NamedTuple):
    """A line of a table: for every metric and cost the values of its seeds."""

    title: str
    tasks: List[str]
    metrics: Dict[str, List[float]]
    costs: Dict[str, Optional[float]]
    records: List[Mapping[str, Any]]

    @property
    def seeds(self) -> int:
        """How many runs each figure is the mean of."""
        return max((len(values) for values in self.metrics.values()), default=0)

    def means(self) -> Dict[str, float]:
        """Metric -> mean over the seeds."""
        return {key: float(np.mean(values)) for key, values in self.metrics.items()}


def costs_of(record: Mapping[str, Any]) -> Dict[str, Optional[float]]:
    """Parameters, file, operations and time of one record."""
    counts, time = record["counts"], record.get("time")
    return dict(
        zip(
            COSTS,
            (
                counts["parameters"] / 1e6,
                record["file"]["bytes"] / 1e6,
                counts["macs"] / 1e9,
                counts["bops"] / 1e9,
                time["milliseconds"] if time else None,
            ),
        )
    )


def make_row(title: str, runs: Sequence[str], records: Mapping[str, Mapping[str, Any]]) -> Optional[Row]:
    """The row of these runs, or None where one of them has no record."""
    metrics: Dict[str, List[float]] = {}
    tasks: List[str] = []
    used: List[Mapping[str, Any]] = []
    costs: Dict[str, Optional[float]] = dict.fromkeys(COSTS, 0.0)
    for run in runs:
        seeds = [record for name, record in records.items() if _SEED.sub("", name) == run]
        if not seeds:
            return None
        used += seeds
        tasks += seeds[0]["tasks"]
        for key, value in costs_of(seeds[0]).items():
            costs[key] = None if value is None or costs[key] is None else costs[key] + value
        for record in seeds:
            for key, value in record["metrics"].items():
                metrics.setdefault(key, []).append(value)
    return Row(title, tasks, metrics, costs, used)


def gain(row: Row, reference: Optional[Row]) -> Optional[float]:
    """Delta_MTL over the row's tasks, or None where the reference lacks one of them."""
    if reference is None or any(TASK_FIGURES[task].key not in reference.metrics for task in row.tasks):
        return None
    return delta_mtl(row.means(), reference.means(), row.tasks)


def _digits(value: Optional[float]) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _metric_cell(values: Optional[Sequence[float]], form: str) -> str:
    if not values:
        return "-"
    text = form.format(np.mean(values))
    return text if len(values) == 1 else f"{text} ± {form.format(np.std(values, ddof=1))}"


def _columns(rows: Sequence[Row]) -> List[str]:
    return [task for task in TASK_FIGURES if any(task in row.tasks for row in rows)]


def _markdown(first: str, rows: Sequence[Row], further: Mapping[str, Callable[[Row], str]]) -> str:
    """One table of metrics and of ``further`` columns (title -> cell); the first is text, the others are numbers."""
    tasks = _columns(rows)
    head = [first, *(TASK_FIGURES[task].title for task in tasks), *further]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for row in rows:
        title = row.title + (f" ({row.seeds} seeds)" if row.seeds > 1 else "")
        lines.append(
            [
                title,
                *(_metric_cell(row.metrics.get(TASK_FIGURES[t].key), TASK_FIGURES[t].form) for t in tasks),
                *(cell(row) for cell in further.values()),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cost_columns(costs: Sequence[str]) -> Dict[str, Callable[[Row], str]]:
    return {cost: lambda row, cost=cost: _digits(row.costs[cost]) for cost in costs}


def markdown(rows: Sequence[Row], reference: Optional[Row]) -> str:
    """A table with every column."""

    def delta(row: Row) -> str:
        value = gain(row, reference)
        return "-" if value is None else f"{value:+.1f}"

    return _markdown("network", rows, {"Delta_MTL, %": delta, **_cost_columns(COSTS)})


def summary(layout: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]) -> str:
    """The short table: the rows of all tables that have a ``summary``, with fewer columns."""
    made = [make_row(entry["summary"], entry["runs"], records) for table in layout for entry in table["rows"] if "summary" in entry]
    rows = [row for row in made if row]
    return _markdown(f"network{timed_on(rows)}", rows, _cost_columns(SUMMARY_COSTS))


def read_layout(path: Path) -> List[Dict[str, Any]]:
    """The tables of a layout file, checked."""
    tables = [table for table in yaml.safe_load_all(path.read_text()) if table]
    for table in tables:
        missing = {"title", "rows"} - set(table)
        if missing or any(not {"title", "runs"} <= set(row) for row in table["rows"]):
            raise ValueError(f"{path}: a table needs title and rows, a row title and runs")
        identifiers = [row["id"] for row in table["rows"] if "id" in row]
        if "reference" in table and table["reference"] not in identifiers:
            raise ValueError(f"{path}: the reference {table['reference']!r} is no row's id")
    return tables


def tables(
    layout: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]
) -> List[Tuple[str, List[Row], Optional[Row]]]:
    """(title, rows, reference) of each table that has a row."""
    result = []
    for table in layout:
        made = [(entry.get("id"), make_row(entry["title"], entry["runs"], records)) for entry in table["rows"]]
        reference = next((row for name, row in made if row and name and name == table.get("reference")), None)
        rows = [row for _, row in made if row]
        if rows:
            result.append((table["title"], rows, reference))
    return result


def unused_records(layout: Sequence[Mapping[str, Any]], records: Mapping[str, Any]) -> List[str]:
    """Records that no row names."""
    named = {run for table in layout for entry in table["rows"] for run in entry["runs"]}
    return [name for name in records if _SEED.sub("", name) not in named]


def timed_on(rows: Sequence[Row]) -> str:
    """Which machine the times of a table are of; several are named, for their times do not compare."""
    times = [record.get("time") for row in rows for record in row.records]
    machines = dict.fromkeys(f"{time['cpu']}, {time['tier']}" for time in times if time)
    return f" (time: {' and '.join(machines)})" if machines else ""


def full_markdown(made: Sequence[Tuple[str, List[Row], Optional[Row]]]) -> str:
    """All tables with their titles."""
    return "\n\n".join(f"**{title}**{timed_on(rows)}\n\n{markdown(rows, reference)}" for title, rows, reference in made)


def _minutes(records: Sequence[Mapping[str, Any]]) -> str:
    """Training time of all records, empty where one has none."""
    minutes = [(record.get("training") or {}).get("minutes") for record in records]
    return "" if None in minutes else f"{sum(minutes):.0f}"


def to_csv(made: Sequence[Tuple[str, List[Row], Optional[Row]]]) -> str:
    """One line a row with every metric (means, and deviations of several seeds), costs, and what was trained."""
    lines: List[Dict[str, Any]] = []
    for title, rows, reference in made:
        for row in rows:
            first = row.records[0]
            line: Dict[str, Any] = {
                "table": title,
                "network": row.title,
                "tasks": " ".join(row.tasks),
                "seeds": row.seeds,
                "steps": first["steps"],
                "photos": first["photos"],
                "minutes": _minutes(row.records),
            }
            for key, values in row.metrics.items():
                line[key] = f"{np.mean(values):.6g}"
                if len(values) > 1:
                    line[f"{key}_deviation"] = f"{np.std(values, ddof=1):.6g}"
            delta = gain(row, reference)
            line["delta_mtl"] = "" if delta is None else f"{delta:.6g}"
            line.update({key: "" if value is None else f"{value:.6g}" for key, value in row.costs.items()})
            lines.append(line)
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def insert(document: Path, contents: Mapping[str, str]) -> None:
    """Puts each of the contents that has a place between <!-- results:NAME --> and <!-- /results:NAME -->."""
    text, placed = document.read_text(), 0
    for name, content in contents.items():
        pattern = rf"(<!-- results:{re.escape(name)} -->\n).*?(<!-- /results:{re.escape(name)} -->)"
        text, count = re.subn(pattern, lambda m, content=content: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL)
        placed += count
    if not placed:
        names = " or ".join(f"<!-- results:{name} --> .. <!-- /results:{name} -->" for name in contents)
        raise ValueError(f"{document}: has no markers {names}")
    write_text(document, text)
