# SPDX-License-Identifier: Apache-2.0
"""Two processes, accumulated pieces and bf16 train like one process on the whole batch in float32.

Batch normalisation sees the whole batch in two processes (its sums are exchanged), so that equality must hold for a
whole float network; in a binary one rounding turns some signs, and signs turn others. Accumulated pieces have statistics
of their own; they are compared with statistics held fixed.
"""

import copy
import subprocess
import sys

import pytest
import torch
import yaml
from conftest import REPOSITORY
from torch import nn

from bimtdp_torch.training import Trainer
from bimtdp_torch.training.logs import CsvFile

# A small rate: AdamW's first update is about the gradient's sign, which rounding can turn where it is nearly 0.
CONFIG = {
    "name": "parallel",
    "network": {"name": "multi_task", "backbone": "resnet18", "dropout": 0.0, "dataset": "nyud4", "segmentation_classes": 39},
    "train": {
        "seed": 3,
        "lr": 1e-6,
        "warmup": 1,
        "validation_every": 0,
        "log_every": 1,
        "save_every": 100,
        "amp": "off",
        "fused": False,
        "recalibration_batches": 1,
        "ema": 0.5,
        "phases": [{"size": [32, 64], "batch": 4, "steps": 2}],
    },
}


def test_two_processes_have_the_losses_of_one(data_folder, tmp_path):
    torch.set_num_threads(1)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [
        str(REPOSITORY / "scripts" / "train.py"),
        str(tmp_path / "config.yaml"),
        "--data",
        str(data_folder),
        "--output",
        str(tmp_path / "two"),
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    parallel = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "without libuv support" in parallel.stderr:
        pytest.skip("this build of torch starts no processes (Debian's)")
    assert parallel.returncode == 0, parallel.stderr
    Trainer(copy.deepcopy(CONFIG), data_folder, tmp_path / "one").run()
    one, two = (CsvFile(tmp_path / name / "losses.csv").read() for name in ("one", "two"))
    assert len(one) == len(two) == 2
    for first, second in zip(one, two):
        for key in first.keys() - {"photos_per_second", "seconds"}:
            # Statistics of a few pixels of small photos amplify rounding, most on the way back; how much depends on the CPU.
            tolerance = 5e-3 if key == "gradient_norm" else 1e-4
            assert float(second[key]) == pytest.approx(float(first[key]), rel=tolerance), (first["step"], key)
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("one", "two")]
    assert [s["processes"] for s in states] == [1, 2]
    for key, value in states[0]["model"].items():
        torch.testing.assert_close(states[1]["model"][key], value, rtol=2e-3, atol=2e-4)
    # AdamW's step at this rate is too small to be seen in the weights; its moments are made of the gradients.
    first, second = (torch.cat([moments["exp_avg"].flatten() for moments in s["optimizer"]["state"].values()]) for s in states)
    assert (first - second).norm() < 0.03 * first.norm()
    assert (tmp_path / "two" / "final.pt").exists()


def test_accumulated_pieces_have_the_gradients_of_the_batch(data_folder, tmp_path):
    torch.set_num_threads(1)
    results = []
    for pieces in (1, 2):
        config = copy.deepcopy(CONFIG)
        config["train"].update(accumulate=pieces, lr=0.0)
        trainer = Trainer(config, data_folder, tmp_path / str(pieces))
        trainer.frozen = [m for m in trainer.network.modules() if isinstance(m, nn.BatchNorm2d)]
        trainer.training_mode()
        losses = trainer.train_step()
        results.append((losses, {n: p.grad for n, p in trainer.network.named_parameters() if p.grad is not None}))
    (losses, gradients), (piece_losses, piece_gradients) = results
    for key, value in losses.items():
        assert piece_losses[key].item() == pytest.approx(value.item(), rel=1e-4), key
    assert gradients.keys() == piece_gradients.keys()
    largest = max(g.abs().max().item() for g in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(piece_gradients[name], gradient, rtol=1e-3, atol=1e-5 * largest)


def test_bf16_trains_like_float32(data_folder, tmp_path):
    torch.set_num_threads(1)
    rows = []
    for amp in ("off", "bf16"):
        config = copy.deepcopy(CONFIG)
        config["train"].update(amp=amp, ema=0.0)
        trainer = Trainer(config, data_folder, tmp_path / amp)
        trainer.training_mode()
        rows.append({key: value.item() for key, value in trainer.train_step().items()})
    exact, rounded = rows
    assert rounded["total"] != exact["total"]
    for key in ("total", "semseg", "normals", "edge", "depth"):
        assert rounded[key] == pytest.approx(exact[key], rel=0.02), key


def test_a_batch_that_cannot_be_cut_is_refused(data_folder, tmp_path):
    config = copy.deepcopy(CONFIG)
    config["train"]["accumulate"] = 3
    with pytest.raises(ValueError, match="a batch of 4 is not divisible by 1 processes x 3"):
        Trainer(config, data_folder, tmp_path)
