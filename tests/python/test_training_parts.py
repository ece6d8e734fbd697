# SPDX-License-Identifier: Apache-2.0
"""Pieces of training alone: averages, flips, rows, signals, features of a teacher, scores."""

import csv
import math
import os
import signal

import pytest
import torch
from network_tools import small_network
from torch import nn

from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.training import freeze, recalibrate
from bimtdp_torch.training.averages import WeightAverage
from bimtdp_torch.training.batch_norm import reset_spoilt_statistics
from bimtdp_torch.training.distillation import OnlineTeacher, feature_losses
from bimtdp_torch.training.flips import FlipMonitor
from bimtdp_torch.training.logs import CsvFile, RunLog, Window
from bimtdp_torch.training.objective import Objective
from bimtdp_torch.training.precision import bf16_pays
from bimtdp_torch.training.settings import resolve
from bimtdp_torch.training.signals import StopSignal, Stopped
from bimtdp_torch.training.validation import validation_score


# -- averages, flips, rows ---------------------------------------------------------------------------------------------


def test_average_follows_the_formula_and_swaps_back():
    layer = nn.BatchNorm2d(2)
    average = WeightAverage(layer, 0.5)
    with torch.no_grad():
        layer.weight.fill_(3.0)
        average.update(1)  # decay min(0.5, 2 / 11)
        layer.weight.fill_(5.0)
        average.update(100)
    first = 1 * 2 / 11 + 3 * 9 / 11
    expected = 0.5 * first + 0.5 * 5
    with average.applied():
        torch.testing.assert_close(layer.weight.detach(), torch.full((2,), expected))
    assert layer.weight.tolist() == [5.0, 5.0]
    torch.testing.assert_close(average.average["weight"], torch.full((2,), expected))
    assert layer.num_batches_tracked.dtype == torch.long and "num_batches_tracked" not in average.average


def test_recalibration_averages_the_batches_and_spares_frozen_layers():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    frozen = freeze(network, ["1"])
    images = [torch.randn(4, 2, 3, 3) * 2 + 1 for _ in range(3)]
    recalibrate(network, images, frozen)
    torch.testing.assert_close(network[0].running_mean, torch.stack([x.mean((0, 2, 3)) for x in images]).mean(0))
    torch.testing.assert_close(network[0].running_var, torch.stack([x.var((0, 2, 3)) for x in images]).mean(0))
    assert network[0].momentum == 0.1 and not network.training
    assert network[1].running_mean.tolist() == [0.0, 0.0] and not network[1].weight.requires_grad
    with pytest.raises(ValueError, match="the network has no 2, head"):
        freeze(network, ["0", "2", "head"])


def test_statistics_start_anew_only_where_they_are_spoilt():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    network(torch.randn(4, 2, 3, 3))
    mean = network[1].running_mean.clone()
    network[0].running_var[1] = float("nan")
    reset_spoilt_statistics(network)
    assert network[0].running_var.tolist() == [1.0, 1.0] and torch.equal(network[1].running_mean, mean)


def test_flip_rates_count_changed_signs():
    network = small_network()
    monitor = FlipMonitor(network)
    names = [n for n, m in network.named_modules() if isinstance(m, BinaryConv2d)]
    other = FlipMonitor(network)
    other.load(monitor.state())
    assert monitor.rates() == dict.fromkeys(names, 0.0)
    layer = network.backbone.conv2
    with torch.no_grad():  # standardised weights: the sign of the difference from the filter's mean
        layer.weight[0] = 2 * layer.weight[0].mean() - layer.weight[0]
    rates = monitor.rates()
    assert rates["backbone.conv2"] == pytest.approx(1 / 8) and rates["backbone.conv1"] == 0.0
    assert monitor.rates()["backbone.conv2"] == 0.0 and other.rates() == rates


def test_csv_widens_and_drops_lost_steps(tmp_path):
    file = CsvFile(tmp_path / "x.csv")
    file.append({"step": 1, "a": 0.5})
    file.append({"step": 2, "a": 0.25, "b": 3.0})
    file.append({"step": 3, "b": 4.0})
    assert file.read() == [
        {"step": "1", "a": "0.5", "b": ""},
        {"step": "2", "a": "0.25", "b": "3.0"},
        {"step": "3", "a": "", "b": "4.0"},
    ]
    file.keep(2)
    with open(tmp_path / "x.csv", newline="") as text:
        assert [row[0] for row in csv.reader(text)] == ["step", "1", "2"]


def test_window_averages_what_was_there():
    window = Window()
    for values in ({"total": 1.0, "features": 4.0}, {"total": 3.0}):  # features: every second step
        window.add({key: torch.tensor(value) for key, value in values.items()})
    again = Window()
    again.load(window.state())
    assert window.means() == again.means() == {"total": 2.0, "features": 4.0}


def test_event_files_hold_rows_and_layers(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = RunLog(tmp_path)
    log.start(0, False)
    log.training_row(20, {"total": 1.5}, {"a.conv1": 0.5, "a.conv2": 0.25})
    log.validation_row(20, {"miou": 30.0}, "current")
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found == {
        "train/total": [(20, 1.5)],
        "train/flip_rate": [(20, 0.375)],
        "flips/a.conv1": [(20, 0.5)],
        "flips/a.conv2": [(20, 0.25)],
        "validation/miou": [(20, 30.0)],
    }
    assert log.losses.read()[0]["flip_rate"] == "0.375" and log.validation.read()[0]["weights"] == "current"


def test_first_signal_is_noted_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as stop:
        stop.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is before  # the second one kills
        with pytest.raises(Stopped) as stopped:
            stop.check()
    assert stopped.value.exit_code == 143 and signal.getsignal(signal.SIGTERM) is before


def test_score_is_a_mean_relative_gain():
    first = {"miou": 20.0, "rmse": 0.8, "normals_degrees": 30.0, "odsf": 50.0, "pixel_accuracy": 50.0}
    second = {**first, "miou": 22.0, "rmse": 0.8 / 1.1, "pixel_accuracy": 1.0}
    assert validation_score(second) - validation_score(first) == pytest.approx(2 * math.log(1.1) / 4)
    assert validation_score({**first, "rmse": 0.9}, "rmse") < validation_score(first, "rmse")
    with pytest.raises(ValueError, match="no metric 'mou'"):
        validation_score(first, "mou")


# -- features of a teacher ---------------------------------------------------------------------------------------------


def outputs(scale=1.0, channels=3):
    torch.manual_seed(7)
    maps = [scale * torch.randn(2, channels, 4 // (s + 1), 4) for s in range(2)]
    return {
        "maps": {"depth": torch.ones(2, 1, 4, 4)},
        "backbone": maps,
        "features": [{"depth": maps[0], "edge": maps[0] + 1}, {"depth": maps[1]}],
    }


class FakeNetwork(nn.Module):
    def __init__(self, result):
        super().__init__()
        self.result, self.asked = result, []

    def training_outputs(self, image, pre_relu=False):
        self.asked.append(pre_relu)
        return self.result


def test_features_are_compared_pair_by_pair():
    teacher = OnlineTeacher(FakeNetwork(outputs()), ["backbone", "features"], True)
    taught = teacher(torch.zeros(2, 3, 8, 8))
    student = outputs(3.0)
    student["features"][0].pop("edge")  # a single-task student has fewer
    losses = feature_losses(student, taught["features"])
    squares = [float((2 * m).square().mean()) for m in outputs()["backbone"]]
    assert {k: float(v) for k, v in losses.items()} == pytest.approx(
        {"backbone": sum(squares) / 2, "features": sum(squares) / 2}, rel=1e-5
    )
    assert teacher.teacher.asked == [True]


def test_features_that_do_not_fit_are_named():
    taught = OnlineTeacher(FakeNetwork(outputs(channels=5)), ["backbone"], True)(torch.zeros(1))["features"]
    with pytest.raises(ValueError, match="backbone.0 has 3 channels in the student and 5 in the teacher"):
        feature_losses(outputs(), taught)
    with pytest.raises(ValueError, match="share no tensor of the group 'hidden'"):
        feature_losses(outputs(), {"hidden": {}})


def config(distillation=None, **train):
    base = {"network": {"name": "mti_net"}, "train": {"lr": 1e-3, "phases": [{"size": [32, 64], "batch": 4, "steps": 30}], **train}}
    return {**base, "distillation": distillation} if distillation else base


def test_objective_adds_bottleneck_maps_and_features(monkeypatch):
    from bimtdp_torch.training import objective as module

    monkeypatch.setattr(module, "load_teacher", lambda path, device: FakeNetwork(outputs()))
    options = {
        "teacher": "t.pt",
        "maps": "online",
        "weight": 0.5,
        "label_weight": 2.0,
        "features": {"weight": 3.0, "groups": ["backbone"], "every": 2},
    }
    plain = Objective(resolve(config()), torch.device("cpu"))
    taught = Objective(resolve(config(options, vib_weight=0.25)), torch.device("cpu"))
    batch = {"image": torch.zeros(2, 3, 16, 16), "depth": torch.full((2, 1, 16, 16), 4.0)}
    student = {**outputs(2.0), "maps": {"depth": torch.full((2, 1, 4, 4), 3.0)}, "vib": torch.tensor(8.0)}
    alone = plain({k: v for k, v in student.items() if k != "vib"}, batch, 0)
    assert float(alone["total"]) == pytest.approx(1.0)  # |3 - 4| metres
    losses = taught(student, batch, 0, taught.teach(batch["image"], 0))
    features = float(feature_losses(student, taught.teacher(batch["image"])["features"])["backbone"])
    assert float(losses["total"]) == pytest.approx(2 * 1.0 + 0.25 * 8 + 0.5 * 2.0 + 3.0 * features, rel=1e-5)
    assert float(losses["vib"]) == 8.0 and float(losses["distillation"]) == 1.0
    assert float(losses["features"]) == float(losses["features_backbone"]) == pytest.approx(features, rel=1e-5)
    assert "features" not in taught(student, batch, 1, taught.teach(batch["image"], 1))


def test_bf16_where_it_is_faster():
    assert bf16_pays("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16 amx_tile")
    assert not bf16_pays("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 avx512_fp16")
    assert bf16_pays("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16")
    assert not bf16_pays("vendor_id : AuthenticAMD\nflags : avx2 fma")
