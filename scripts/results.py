#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records of trained runs and the results table.

    results.py collect RUN_DIR --data DIR             scores RUN_DIR/final.pt on the test list, counts, converts, and
                                                      writes scripts/results/nyud/ROW.json
    results.py time [NAME ...]                        times the networks of records (default: all) in the C++ library
    results.py todo                                   prints the commands for rows that have no record yet
    results.py table [--insert DOCUMENT ...]          prints the table; writes table.csv beside the records, and the tables
                                                      into README.md and scripts/results/README.md, if these are named

The table needs the records only, and so do times: they are of networks with random weights, on which they do not depend,
on one thread of this machine, the least of 20 runs. Keep it quiet, and time all rows of a table on one machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.data.datasets import data_family, dataset_of
from bimtdp_torch.files import fail, run_program, write_text
from bimtdp_torch.machine import add_machine_options, use_machine
from bimtdp_torch.metrics.evaluation import format_metrics
from bimtdp_torch.results import plan, record, table

SCRIPTS = Path(__file__).resolve().parent
RESULTS, CONFIGS = SCRIPTS / "results", SCRIPTS / "configs"


def collect(arguments: argparse.Namespace) -> None:
    """Writes one record."""
    device = use_machine(arguments)
    checkpoint = arguments.checkpoint or arguments.run / "final.pt"
    made = record.make_record(
        arguments.run,
        checkpoint,
        arguments.data,
        timed=arguments.time,
        compared=arguments.compare,
        limit=arguments.limit,
        device=device,
    )
    folder = arguments.results or RESULTS / data_family(dataset_of(made["config"]))
    name = arguments.name or arguments.run.resolve().name
    if not name.startswith(made["row"]):
        print(f"note: the run's folder is {name}, its configuration {made['row']}", file=sys.stderr)
    record.write_record(made, folder / f"{name}.json")
    print(f"{folder / f'{name}.json'}: {format_metrics(made['metrics'])}")
    if made["engines"]:
        for engine in ("pytorch", "bimtdp"):
            print(f"{engine}, {made['engines']['frames']} photos: {format_metrics(made['engines'][engine])}")


def add_times(arguments: argparse.Namespace) -> None:
    """Times networks and writes their records again."""
    folder = arguments.results or RESULTS / arguments.dataset
    records = record.read_records(folder)
    for name in arguments.names or records:
        if name not in records:
            raise ValueError(f"{folder / f'{name}.json'}: missing; collect the run first")
        made = records[name]
        with tempfile.TemporaryDirectory() as temporary:
            model = Path(temporary) / "model.safetensors"
            record.fresh_model_file(made["config"], model)
            made["time"] = record.time_model(model)
        record.write_record(made, folder / f"{name}.json")
        print(f"{name}: {made['time']['milliseconds']:.1f} ms", flush=True)


def show(arguments: argparse.Namespace) -> None:
    """Makes the tables."""
    folder = arguments.results or RESULTS / arguments.dataset
    layout, records = table.read_layout(folder / "rows.yaml"), record.read_records(folder)
    for name in table.unused_records(layout, records):
        print(f"note: {name}.json is in no row of rows.yaml", file=sys.stderr)
    made = table.tables(layout, records)
    content = table.full_markdown(made) if made else "(no row has been trained yet)"
    print(content)
    if made:
        write_text(folder / "table.csv", table.to_csv(made))
    for document in arguments.insert:
        table.insert(document, {arguments.dataset: content, f"{arguments.dataset}_summary": table.summary(layout, records)})


def todo(arguments: argparse.Namespace) -> None:
    """Prints what is left to do."""
    folder = arguments.results or RESULTS / arguments.dataset
    runs = [run for made in table.read_layout(folder / "rows.yaml") for row in made["rows"] for run in row["runs"]]
    print("\n".join(plan.commands(runs, record.read_records(folder), (CONFIGS / arguments.dataset, CONFIGS), arguments.runs)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("collect", help="make the record of a run")
    one.add_argument("run", type=Path, help="folder of a finished run of train.py")
    one.add_argument("--data", type=Path, required=True, help="folder of the data set")
    one.add_argument("--checkpoint", type=Path, help="default: RUN_DIR/final.pt")
    one.add_argument("--name", help="name of the record (default: the run's folder)")
    one.add_argument("--time", action="store_true", help="also time the model in the C++ library")
    one.add_argument(
        "--compare",
        type=int,
        default=0,
        metavar="N",
        help="also score PyTorch and the C++ library side by side on the first N test photos",
    )
    one.add_argument("--limit", type=int, help="score only the first test photos (to try it out)")
    add_machine_options(one)
    one.set_defaults(work=collect)
    timed = commands.add_parser("time", help="time the networks of records")
    timed.add_argument("names", nargs="*", metavar="NAME", help="of records (default: all)")
    timed.set_defaults(work=add_times)
    rest = commands.add_parser("todo", help="print the commands for rows without a record")
    rest.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (runs)")
    rest.set_defaults(work=todo)
    all_rows = commands.add_parser("table", help="make the tables from the records")
    all_rows.add_argument(
        "--insert", type=Path, nargs="+", default=[], metavar="DOCUMENT", help="put the tables between the markers of these files"
    )
    all_rows.set_defaults(work=show)
    for command in (timed, rest, all_rows):
        command.add_argument("--dataset", default="nyud", choices=("nyud", "pascal"))
    for command in (one, timed, rest, all_rows):
        command.add_argument("--results", type=Path, help="folder of the records (default: scripts/results/<data set>)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    try:
        arguments.work(arguments)
    except (OSError, ValueError, RuntimeError) as error:
        return fail("results.py", error)
    return 0


if __name__ == "__main__":
    run_program(main)
