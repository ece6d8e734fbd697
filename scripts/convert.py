#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts a PyTorch network into a model file of the C++ library and proves that both agree.

  convert.py runs/c/final.pt -o model.safetensors --floats f16          a checkpoint of train.py
  convert.py best_model.pth.tar --network mti_net_w18_nyud2 -o ...      a public MTI-Net checkpoint
  convert.py weights.pt --module my_net.py:build -o ...                 a network of your own

The file is compared with PyTorch node by node and running freely before it is written (needs a C++ compiler and the
packages libxsimd-dev, nlohmann-json3-dev and libxxhash-dev). Exit status: 0 converted, 1 refused or different, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.checkpoints import CheckpointError
from bimtdp_torch.export import ConversionError, Options, VerificationError, convert
from bimtdp_torch.files import check_output, fail, run_program
from bimtdp_torch.sources import load_source, load_user_module


def _pairs(values: list, parser: argparse.ArgumentParser, option: str) -> dict:
    pairs = [value.partition("=") for value in values]
    if any(not separator for _, separator, _ in pairs):
        parser.error(f"{option} expects KEY=VALUE")
    return {key: value for key, _, value in pairs}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="checkpoint or state_dict (optional with --module)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model file to write")
    parser.add_argument("--network", help="network of a checkpoint that carries no configuration, e.g. mti_net_w18_nyud2")
    parser.add_argument("--module", metavar="FILE:FACTORY", help="Python file and the function that makes the network")
    parser.add_argument(
        "--floats",
        choices=("f32", "f16"),
        default="f32",
        help="stored precision of float convolutions and linear layers (default f32)",
    )
    parser.add_argument("--name", help="name of the model (default: the configuration's)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="preferred input size, for programs that resize photos (default: the last training size, or none)",
    )
    parser.add_argument(
        "--stride",
        type=int,
        help="height and width of an input must be multiples of it (default: 32 for our own networks, 1 with --module)",
    )
    parser.add_argument(
        "--kind", action="append", default=[], metavar="TASK=KIND", help="what an output is: classes, depth, normals, edges or raw"
    )
    parser.add_argument("--class-names", type=Path, nargs=2, metavar=("TASK", "FILE"), help="one class name a line")
    parser.add_argument("--mean", type=float, nargs=3, default=Options.mean, help="of RGB in 0..1 (default: ImageNet's)")
    parser.add_argument("--std", type=float, nargs=3, default=Options.std)
    parser.add_argument("--input-channels", type=int, default=3, help="other than 3: the file gets no self-test")
    parser.add_argument("--self-test-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=Options.self_test_size)
    parser.add_argument("--seed", type=int, default=1, help="of the self-test photo (default 1)")
    parser.add_argument("--licence", default="", help="licence of the weights, stored in the file")
    parser.add_argument("--provenance", action="append", default=[], metavar="KEY=VALUE", help="stored in the file")
    parser.add_argument(
        "--rounded-checkpoint",
        type=Path,
        metavar="OUT.pt",
        help="also write the checkpoint with the weights "
        "as --floats f16 rounds them: evaluate.py gives the same figures for both files",
    )
    parser.add_argument("--no-verify", action="store_true", help="compare nothing and mark the file as unchecked")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    arguments = parser.parse_args()
    if arguments.checkpoint is None and arguments.module is None:
        parser.error("give a checkpoint, or a network with --module")
    if arguments.module and arguments.network:
        parser.error("--module and --network exclude each other")
    arguments.kind = _pairs(arguments.kind, parser, "--kind")
    arguments.provenance = _pairs(arguments.provenance, parser, "--provenance")
    return arguments


def run(arguments: argparse.Namespace) -> None:
    for output in filter(None, (arguments.output, arguments.rounded_checkpoint)):
        check_output(output)
    if arguments.module:
        source = load_user_module(arguments.module, arguments.checkpoint)
    else:
        source = load_source(arguments.checkpoint, arguments.network)
    source.name = arguments.name or source.name
    source.size = tuple(arguments.size or source.size)
    source.stride = arguments.stride or source.stride
    source.kinds.update(arguments.kind)
    if arguments.class_names:
        task, file = str(arguments.class_names[0]), arguments.class_names[1]
        source.class_names[task] = [line.strip() for line in file.read_text().splitlines() if line.strip()]
        source.kinds.setdefault(task, "classes")
    options = Options(
        floats=arguments.floats,
        verify=not arguments.no_verify,
        seed=arguments.seed,
        self_test_size=tuple(arguments.self_test_size),
        channels=arguments.input_channels,
        licence=arguments.licence,
        provenance=arguments.provenance,
        mean=tuple(arguments.mean),
        std=tuple(arguments.std),
        quiet=arguments.quiet,
        rounded_checkpoint=arguments.rounded_checkpoint,
    )
    result = convert(source, arguments.output, options)
    if arguments.quiet:
        return
    print(f"{arguments.output}: {result.bytes / 1e6:.2f} MB, {result.nodes} nodes, {result.seconds:.0f} s")
    if result.report is not None:
        print(
            f"compared {result.nodes} tensors with PyTorch: largest float difference {result.largest():.1e} of the tensor's "
            f"largest value, {result.flips()} ties; running freely {result.largest('free'):.1e} and {result.flips('free')} "
            "differing signs"
        )
        print(f"largest absolute difference of the outputs, running freely: {result.output_differences()}")
    print(result.message)


def main() -> int:
    arguments = parse_arguments()
    try:
        run(arguments)
    except (ConversionError, CheckpointError) as error:
        return fail("cannot convert", error)
    except VerificationError as error:
        return fail("not verified, nothing written", error)
    except OSError as error:
        return fail("cannot read or write", error)
    return 0


if __name__ == "__main__":
    run_program(main)
