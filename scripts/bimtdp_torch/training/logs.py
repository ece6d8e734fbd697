# SPDX-License-Identifier: Apache-2.0
"""What a run leaves to look at: losses.csv, validation.csv, TensorBoard's event files, losses.png."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from torch import Tensor
from tqdm import tqdm

from ..files import check_output, whole_file


class CsvFile:
    """Rows with named columns; a new column widens the file."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> List[Dict[str, str]]:
        """All rows, empty where a column was not known yet."""
        if not self.path.exists():
            return []
        with open(self.path, newline="") as file:
            return list(csv.DictReader(file))

    def _write(self, columns: List[str], rows: List[Mapping[str, Any]]) -> None:
        with whole_file(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds one row."""
        columns: List[str] = []
        if self.path.exists():
            with open(self.path, newline="") as file:
                columns = next(csv.reader(file), [])
        added = [key for key in row if key not in columns]
        if added:
            self._write(columns + added, [*self.read(), row])
            return
        before = self.path.stat().st_size
        try:
            with open(self.path, "a", newline="") as file:
                csv.DictWriter(file, columns, restval="", lineterminator="\n").writerow(row)
        except OSError:
            os.truncate(self.path, before)  # a row is whole or absent
            raise

    def keep(self, last: int) -> None:
        """Removes the rows of steps after ``last``: a resumed run makes them again."""
        rows = self.read()
        kept = [row for row in rows if int(row["step"]) <= last]
        if len(kept) < len(rows):
            self._write(list(rows[0]), kept)


class Window:
    """Means of values over the steps since the last row."""

    def __init__(self) -> None:
        self.sums: Dict[str, Tensor] = {}
        self.counts: Dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """One step's scalars."""
        for key, value in values.items():
            value = value.detach().float()
            self.sums[key] = self.sums[key] + value if key in self.sums else value
            self.counts[key] = self.counts.get(key, 0) + 1

    def means(self) -> Dict[str, float]:
        """The means so far."""
        return {key: float(total) / self.counts[key] for key, total in self.sums.items()}

    def clear(self) -> None:
        """Begins anew."""
        self.sums, self.counts = {}, {}

    def state(self) -> Dict[str, Any]:
        """What a resumed run needs to write the same rows."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continues from a saved state."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


def _summary_writer(folder: Path, first: int) -> Optional[Any]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        tqdm.write("no event files: the package tensorboard is not installed")
        return None
    return SummaryWriter(str(folder), purge_step=first)  # TensorBoard drops what a lost stretch wrote


class RunLog:
    """Writes to the files of one run, from ``start`` on. OSError: the folder cannot be made or written."""

    def __init__(self, output: Path):
        check_output(output)
        self.output, self.started = output, False
        self.losses, self.validation = CsvFile(output / "losses.csv"), CsvFile(output / "validation.csv")
        self._events: Optional[Any] = None

    @staticmethod
    def say(text: str) -> None:
        """A line on the terminal, above the progress bar."""
        tqdm.write(time.strftime("%H:%M:%S ") + text)

    def start(self, step: int, finished: bool) -> None:
        """Drops rows after ``step``; a finished run's last validation belongs to the end, which comes again."""
        self.started = True
        self.losses.keep(step)
        self.validation.keep(step - 1 if finished else step)
        self._events = _summary_writer(self.output / "tensorboard", step + 1)

    def _scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        if self._events is not None:
            for key, value in values.items():
                self._events.add_scalar(f"{group}/{key}", value, step)

    def training_row(self, step: int, values: Mapping[str, float], flips: Mapping[str, float]) -> None:
        """Mean losses and the like; the flip rate of each binary layer goes to TensorBoard, the mean to both."""
        values = dict(values)
        if flips:
            values["flip_rate"] = sum(flips.values()) / len(flips)
        self.losses.append({"step": step, **values})
        self._scalars("train", values, step)
        self._scalars("flips", flips, step)

    def validation_row(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        """Scores of the network at ``step``; ``note`` says which weights."""
        self.validation.append({"step": step, "weights": note, **metrics})
        self._scalars("validation", metrics, step)

    def close(self) -> None:
        """Flushes the event file."""
        if self._events is not None:
            self._events.close()


def plot_losses(output: Path) -> None:
    """``losses.png`` from the CSV files, if matplotlib is there."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return
    curves = []
    for file in ("losses", "validation"):
        rows = CsvFile(output / f"{file}.csv").read()
        for name in [n for n in (rows[0] if rows else ()) if n not in ("step", "weights", "seconds")]:
            points = [(int(row["step"]), float(row[name])) for row in rows if row[name] not in ("", None)]
            curves.append((f"{name} ({file})", points))
    if not curves:
        return
    height = (len(curves) + 3) // 4
    figure, axes = pyplot.subplots(height, 4, figsize=(16, 3 * height), squeeze=False)
    for axis, (title, points) in zip(axes.flat, curves):
        axis.plot(*zip(*points), linewidth=0.7, marker="." if len(points) < 30 else "")
        axis.set_title(title)
    figure.tight_layout()
    with whole_file(output / "losses.png") as temporary:
        figure.savefig(temporary, dpi=80)
    pyplot.close(figure)
