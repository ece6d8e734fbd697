# SPDX-License-Identifier: Apache-2.0
"""Pieces of training alone: settings, schedule, averages, flips, rows, signals, features of a teacher, scores."""

import csv
import math
import os
import signal

import pytest
import torch
import yaml
from conftest import REPOSITORY
from torch import nn

from bimtdp_torch.blocks import basic_block
from bimtdp_torch.config import build_network
from bimtdp_torch.configuration import read_config
from bimtdp_torch.layers import BinaryConv2d, Sign
from bimtdp_torch.pretraining import DEFAULTS
from bimtdp_torch.style import PRESETS
from bimtdp_torch.training import freeze, recalibrate
from bimtdp_torch.training.averages import WeightAverage
from bimtdp_torch.training.checkpoints import changed_options
from bimtdp_torch.training.distillation import OnlineTeacher, feature_losses
from bimtdp_torch.training.flips import FlipMonitor
from bimtdp_torch.training.logs import CsvFile, RunLog, Window
from bimtdp_torch.training.network_settings import describe, resolve_network
from bimtdp_torch.training.objective import Objective
from bimtdp_torch.training.schedule import Schedule, learning_rate_factor, make_optimizer, parameter_groups
from bimtdp_torch.training.settings import fill, resolve
from bimtdp_torch.training.signals import Stopped, StopSignal
from bimtdp_torch.training.validation import validation_score

PHASES = [{"size": [32, 64], "batch": 4, "steps": 30}, {"size": [64, 128], "batch": 2, "steps": 10}]


def config(distillation=None, **train):
    base = {"network": {"name": "mti_net"}, "train": {"lr": 1e-3, "phases": PHASES, **train}}
    return {**base, "distillation": distillation} if distillation else base


# -- settings ----------------------------------------------------------------------------------------------------------

def test_settings_fill_defaults_and_stay_when_resolved_again():
    resolved = resolve(config(task_weights={"edge": 15.0}, amp=False))  # YAML reads "amp: off" as False
    assert resolved["train"]["vib_weight"] == 1e-3 and resolved["train"]["amp"] == "off"
    assert resolved["train"]["task_weights"]["edge"] == 15.0 and resolved["train"]["task_weights"]["normals"] == 10.0
    assert resolve(resolved) == resolved
    features = resolve(config({"teacher": "t.pt", "features": {}}))["distillation"]["features"]
    assert features == {"weight": 1.0, "groups": ["backbone", "features", "distilled", "hidden"], "pre_relu": True,
                        "every": 1}


@pytest.mark.parametrize("broken, message", [
    (config(learning_rate=1.0), "train: unknown option 'learning_rate'"),
    (config(vib_wieght=1.0), "did you mean 'vib_weight'"),
    (config(amp="fp16"), "train.amp must be one of auto, bf16, off"),
    (config(two_step=1.5), "train.two_step must be in 0 to 1"),
    (config(phases=[{"size": [32, 32], "batch": 2}]), r"train.phases\[0\].steps is missing"),
    (config({"weight": 1.0}), "distillation.teacher is missing"),
    (config({"teacher": "t.pt", "features": {"groups": ["heads"]}}), "unknown \\['heads'\\]"),
    (config(phases=[{"size": [60, 32], "batch": 2, "steps": 3}]), "multiples of 32, got \\[60, 32\\]"),
    (config(lr="fast"), "train.lr must be a number, got 'fast'"),
    ({"train": {}}, "configuration.network is missing"),
    ({**config(), "distilation": {}}, "unknown option 'distilation'; did you mean 'distillation'"),
])
def test_settings_name_what_is_wrong(broken, message):
    with pytest.raises(ValueError, match=message):
        resolve(broken)


def test_numbers_that_yaml_reads_as_text_are_numbers():
    assert resolve(config(lr="1e-3", vib_weight="1e-4"))["train"]["vib_weight"] == 1e-4


CONFIGURATIONS = [p for p in sorted((REPOSITORY / "scripts" / "configs").rglob("*.yaml")) if p.parent.name != "base"]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda p: p.stem)
def test_committed_configurations_resolve(path):
    content = read_config(path)
    if "phases" not in content["train"]:
        assert fill(content["train"], DEFAULTS, "train")["steps"] > 0
        return
    if content.get("distillation"):
        content["distillation"]["teacher"] = "given on the command line"
    resolved = resolve(content)
    again = yaml.safe_load(describe(resolved))
    assert {**again, "network": resolved["network"]} == yaml.safe_load(yaml.safe_dump(resolved))


@pytest.mark.parametrize("section", [
    {"name": "single_task", "task": "edge", "backbone": "resnet18", "binary": True},
    {"name": "multi_task", "backbone": "efficientnet_lite0"},
    {"name": "bi_mtdp_c", "backbone": "resnet18", "c_scope": "mmd+fpm", "attention": {"identity": "real"}},
    {"name": "bi_mtdp_f", "backbone": "hrnet_w18", "preset": "irnet", "style": {"activation": "prelu"}},
], ids=lambda s: s["name"])
def test_a_network_written_out_is_the_same_network(section):
    section["dataset"] = "nyud2_aux" if section["name"] == "bi_mtdp_f" else "pascal5"
    full = resolve_network(section)
    assert len(full) > len(section) and resolve_network(full) == full
    assert repr(build_network(full)) == repr(build_network(section))


def test_steps_scale_shortens_the_whole_schedule():
    train = resolve(config(warmup=200, validate_every=20), steps_scale=0.1)["train"]
    assert [p["steps"] for p in train["phases"]] == [3, 1] and train["warmup"] == 20 and train["validate_every"] == 2


def test_changed_options_are_named():
    assert changed_options({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}}) == {"a.c": (2, 5), "d": (3, None)}


# -- schedule ----------------------------------------------------------------------------------------------------------

def test_learning_rate_warms_up_and_ends_at_zero():
    for kind, middle in (("cosine", 0.5), ("linear", 0.5), ("poly", 0.5 ** 0.9)):
        assert learning_rate_factor(0, 100, 10, kind) == pytest.approx(0.1)
        assert learning_rate_factor(10, 100, 10, kind) == pytest.approx(1.0)
        assert learning_rate_factor(55, 100, 10, kind) == pytest.approx(middle)
        assert learning_rate_factor(100, 100, 10, kind) == pytest.approx(0.0)


def small_network():
    network = nn.Sequential()
    network.add_module("backbone", basic_block(4, 8, PRESETS["irnet"]))
    network.add_module("head", nn.Conv2d(8, 1, 1))
    return network


def test_schedule_sets_estimator_two_steps_and_rates():
    network = small_network()
    train = resolve(config(two_step=0.25, backbone_lr=1e-4, warmup=0, ede={"t_min": 0.01, "t_max": 10.0}))["train"]
    schedule = Schedule(train, network, make_optimizer(parameter_groups(network, train)))
    convolutions = [m for m in network.modules() if isinstance(m, BinaryConv2d)]
    signs = [m for m in network.modules() if isinstance(m, Sign)]
    assert len(convolutions) == 2 and len(signs) >= 4  # of activations and of weights
    for step, binary in ((0, False), (9, False), (10, True), (39, True)):
        schedule.apply(step)
        t = 10 ** (-2 + 3 * step / 40)
        assert all(m.binarize is binary for m in convolutions)
        assert all(m.ede == pytest.approx((max(1 / t, 1), t)) for m in signs)
    schedule.apply(20)
    assert {round(g["lr"], 9) for g in schedule.optimizer.param_groups} == {5e-4, 5e-5}
    assert schedule.phase(29).batch == 4 and schedule.phase(30).batch == 2
    assert schedule.work_left(35) == 5 * 2 * 64 * 128 and schedule.work_left(29) == 4 * 32 * 64 + 10 * 2 * 64 * 128


def test_weight_decay_spares_latent_weights_and_vectors():
    network = small_network()
    groups = parameter_groups(network, resolve(config(weight_decay=0.1))["train"])
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert {decay[id(m.weight)] for m in network.modules() if isinstance(m, BinaryConv2d)} == {0.0}
    assert decay[id(network.head.weight)] == 0.1 and decay[id(network.head.bias)] == 0.0
    assert len(decay) == len(list(network.parameters()))


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


def test_flip_rates_count_changed_signs():
    network = small_network()
    monitor = FlipMonitor(network)
    names = [n for n, m in network.named_modules() if isinstance(m, BinaryConv2d)]
    other = FlipMonitor(network)
    other.load(monitor.state())
    assert monitor.rates() == {name: 0.0 for name in names}
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
    assert file.read() == [{"step": "1", "a": "0.5", "b": ""}, {"step": "2", "a": "0.25", "b": "3.0"},
                           {"step": "3", "a": "", "b": "4.0"}]
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
    assert found == {"train/total": [(20, 1.5)], "train/flip_rate": [(20, 0.375)], "flips/a.conv1": [(20, 0.5)],
                     "flips/a.conv2": [(20, 0.25)], "validation/miou": [(20, 30.0)]}
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
    first = {"miou": 20.0, "rmse": 0.8, "normals_degrees": 30.0, "edge_f": 0.5, "pixel_accuracy": 50.0}
    second = {**first, "miou": 22.0, "rmse": 0.8 / 1.1, "pixel_accuracy": 1.0}
    assert validation_score(second) - validation_score(first) == pytest.approx(2 * math.log(1.1) / 4)
    assert validation_score({**first, "rmse": 0.9}, "rmse") < validation_score(first, "rmse")
    with pytest.raises(ValueError, match="no metric 'mou'"):
        validation_score(first, "mou")


# -- features of a teacher ---------------------------------------------------------------------------------------------

def outputs(scale=1.0, channels=3):
    torch.manual_seed(7)
    maps = [scale * torch.randn(2, channels, 4 // (s + 1), 4) for s in range(2)]
    return {"maps": {"depth": torch.ones(2, 1, 4, 4)}, "backbone": maps,
            "features": [{"depth": maps[0], "edge": maps[0] + 1}, {"depth": maps[1]}]}


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
    assert {k: float(v) for k, v in losses.items()} == pytest.approx({"backbone": sum(squares) / 2,
                                                                      "features": sum(squares) / 2}, rel=1e-5)
    assert teacher.teacher.asked == [True]


def test_features_that_do_not_fit_are_named():
    taught = OnlineTeacher(FakeNetwork(outputs(channels=5)), ["backbone"], True)(torch.zeros(1))["features"]
    with pytest.raises(ValueError, match="backbone.0 has 3 channels in the student and 5 in the teacher"):
        feature_losses(outputs(), taught)
    with pytest.raises(ValueError, match="share no tensor of the group 'hidden'"):
        feature_losses(outputs(), {"hidden": {}})


def test_objective_adds_bottleneck_maps_and_features(monkeypatch):
    from bimtdp_torch.training import objective as module
    monkeypatch.setattr(module, "load_teacher", lambda path, device: FakeNetwork(outputs()))
    options = {"teacher": "t.pt", "maps": "online", "weight": 0.5, "label_weight": 2.0,
               "features": {"weight": 3.0, "groups": ["backbone"], "every": 2}}
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


