# SPDX-License-Identifier: Apache-2.0
"""Settings of training: defaults, errors, the committed configurations, and what the schedule makes of them."""

import pytest
import torch
import yaml
from conftest import REPOSITORY
from network_tools import small_network

from bimtdp_torch.configuration import changed_options, read_config
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.networks.estimators import Sign
from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.networks.options import resolve_network
from bimtdp_torch.training import pretraining
from bimtdp_torch.training.schedule import Schedule, learning_rate_factor, load_moments, make_optimizer, parameter_groups
from bimtdp_torch.training.settings import describe, resolve

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
    maps = resolve(config({"teacher": "t.pt", "task_weights": {"depth": 0.0}}, task_weights={"edge": 15.0}))
    assert maps["distillation"]["task_weights"] == {**resolved["train"]["task_weights"], "depth": 0.0}
    features = resolve(config({"teacher": "t.pt", "features": {}}))["distillation"]["features"]
    assert features == {"weight": 1.0, "groups": ["backbone", "features", "distilled", "hidden"], "pre_relu": True, "every": 1}


@pytest.mark.parametrize(
    "broken, message",
    [
        (config(learning_rate=1.0), "train: unknown option 'learning_rate'"),
        (config(vib_wieght=1.0), "did you mean 'vib_weight'"),
        (config(amp="fp16"), "train.amp must be one of auto, bf16, off"),
        (config(two_step=1), r"train.two_step must be in \[0, 1\), got 1"),
        (config(phases=[{"size": [32, 32], "batch": 2}]), r"train.phases\[0\].steps is missing"),
        (config({"weight": 1.0}), "distillation.teacher is missing"),
        (config({"teacher": "t.pt", "features": {"groups": ["heads"]}}), "groups must be a list of some of backbone, features"),
        (config({"teacher": "t.pt", "maps": "online", "photos_share": 0.5}), "distillation.photos is missing"),
        (config({"teacher": "t.pt", "photos_share": 0.5, "photos": "p"}), "without labels need maps: online"),
        (config({"teacher": "t.pt", "maps": "online", "photos_share": 1, "photos": "p"}), r"photos_share must be in \[0, 1\)"),
        (config(phases=[{"size": [60, 32], "batch": 2, "steps": 3}]), "multiples of 32, got \\[60, 32\\]"),
        (config({"teacher": "t.pt", "size": [96, 100]}), "distillation.size must be .* multiples of 32, got \\[96, 100\\]"),
        (config({"teacher": "t.pt", "task_weights": {"dept": 0}}), "unknown option 'dept'; did you mean 'depth'"),
        (config(lr="fast"), "train.lr must be a number, got 'fast'"),
        (config(save_every=0), r"train.save_every must be in \[1, inf\), got 0"),
        (config(warmup=None), "warmup must be a number"),
        (config(clip_norm=0), r"train.clip_norm must be in \(0, inf\)"),
        (config(max_zoom=0.5), "train.max_zoom must be in"),
        (config(log_every=2.5), "train.log_every must be a whole number"),
        (config(fused=1), "train.fused must be true or false"),
        (config(lr=float("nan")), r"train.lr must be in \[0, inf\), got nan"),
        (config(ema=True), "train.ema must be a number"),
        (config(validation_every=1), "every frame would be for validation"),
        ({**config(), "train": [1]}, "expected a mapping"),
        (config(phases=[{"size": [32, 32], "batch": "2", "steps": 3}]), "steps and batch must be whole numbers"),
        (config({"teacher": "t.pt", "features": {"every": 0}}), "distillation.features.every must be in"),
        (config({"teacher": "t.pt", "features": {"groups": []}}), "groups must be a list of some of"),
        (config({"teacher": "t.pt", "weight": 0, "photos_share": 0.5, "photos": "p"}), "photos without labels teach nothing"),
        ({"train": {}}, "configuration.network is missing"),
        ({**config(), "distilation": {}}, "unknown option 'distilation'; did you mean 'distillation'"),
    ],
)
def test_settings_name_what_is_wrong(broken, message):
    with pytest.raises(ValueError, match=message):
        resolve(broken)


def test_settings_of_pretraining():
    content = {"network": {"name": "bi_mtdp"}, "train": {"steps": 300, "size": 96, "batch": 4, "lr": 1e-3, "warmup": 20}}
    train = pretraining.resolve(content, steps_scale=0.1)["train"]
    assert (train["steps"], train["warmup"], train["photo_size"]) == (30, 2, 128)
    with pytest.raises(ValueError, match="unknown option 'init'"):
        pretraining.resolve({**content, "init": {}})
    with pytest.raises(ValueError, match="scale of the steps must be positive"):
        pretraining.resolve(content, steps_scale=0.0)


def test_numbers_that_yaml_reads_as_text_are_numbers():
    assert resolve(config(lr="1e-3", vib_weight="1e-4"))["train"]["vib_weight"] == 1e-4


CONFIGURATIONS = [p for p in sorted((REPOSITORY / "scripts" / "configs").rglob("*.yaml")) if p.parent.name != "base"]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda p: p.stem)
def test_committed_configurations_resolve(path):
    content = read_config(path)
    if "phases" not in content["train"]:
        assert pretraining.resolve(content)["train"]["steps"] > 0
        return
    if content.get("distillation"):
        content["distillation"]["teacher"] = "given on the command line"
    resolved = resolve(content)
    again = yaml.safe_load(describe(resolved))
    assert {**again, "network": resolved["network"]} == yaml.safe_load(yaml.safe_dump(resolved))


@pytest.mark.parametrize(
    "section",
    [
        {"name": "single_task", "task": "edge", "backbone": "resnet18", "binary": True},
        {"name": "multi_task", "backbone": "efficientnet_lite0"},
        {"name": "mti_net", "backbone": "resnet50"},
        {"name": "bi_mtdp_c", "backbone": "resnet18", "c_scope": "mmd+fpm", "attention": {"identity": "real"}},
        {"name": "bi_mtdp_f", "backbone": "hrnet_w18", "preset": "irnet", "style": {"activation": "prelu"}},
    ],
    ids=lambda s: s["name"],
)
def test_a_network_written_out_is_the_same_network(section):
    section["dataset"] = "nyud2_aux" if section["name"] == "bi_mtdp_f" else "pascal5"
    full = resolve_network(section)
    assert len(full) > len(section) and resolve_network(full) == full
    assert ("widths" in full) == (section["backbone"] in ("efficientnet_lite0", "resnet50"))
    assert repr(build_network(full)) == repr(build_network(section))


def test_steps_scale_shortens_the_whole_schedule():
    train = resolve(config(warmup=200, validate_every=20), steps_scale=0.1)["train"]
    assert [p["steps"] for p in train["phases"]] == [3, 1] and train["warmup"] == 20 and train["validate_every"] == 2


def test_changed_options_are_named():
    assert changed_options({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}}) == {"a.c": (2, 5), "d": (3, None)}


# -- schedule ----------------------------------------------------------------------------------------------------------


def test_learning_rate_warms_up_and_ends_at_zero():
    for kind, middle in (("cosine", 0.5), ("linear", 0.5), ("poly", 0.5**0.9)):
        assert learning_rate_factor(0, 100, 10, kind) == pytest.approx(0.1)
        assert learning_rate_factor(10, 100, 10, kind) == pytest.approx(1.0)
        assert learning_rate_factor(55, 100, 10, kind) == pytest.approx(middle)
        assert learning_rate_factor(100, 100, 10, kind) == pytest.approx(0.0)


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


def test_moments_are_taken_and_rates_are_not():
    network = small_network()
    before, now = (
        resolve(config(lr=lr, weight_decay=decay, optimizer=kind))["train"]
        for lr, decay, kind in ((1e-3, 0.1, "adamw"), (1e-5, 0.0, "adam"))
    )
    old, new = (make_optimizer(parameter_groups(network, train), train["optimizer"]) for train in (before, now))
    assert (type(old), type(new)) == (torch.optim.AdamW, torch.optim.Adam)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    old.step()
    own = [{k: v for k, v in group.items() if k != "params"} for group in new.param_groups]
    load_moments(new, old.state_dict())
    assert [{k: v for k, v in group.items() if k != "params"} for group in new.param_groups] == own
    assert {group["base_lr"] for group in new.param_groups} == {1e-5}
    assert all(torch.equal(new.state[p]["exp_avg"], old.state[p]["exp_avg"]) for p in network.parameters())
