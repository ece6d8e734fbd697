# SPDX-License-Identifier: Apache-2.0
"""From a model file back to PyTorch: the same network, exactly; and what it is good for."""

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from convert_tools import convert_module, randomise
from network_tools import tiny, train_briefly
from torch import nn

from bimtdp_torch.export import Options, Source, convert
from bimtdp_torch.export.errors import ModelFileError
from bimtdp_torch.export.model_file import canonical_json, read_model_file, write_model_file, write_safetensors
from bimtdp_torch.export.restore import restore
from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.sources import load_checkpoint, read_state_dict
from bimtdp_torch.training import Trainer
from bimtdp_torch.training.batch_norm import measure_statistics
from bimtdp_torch.training.initialisation import initialise_from
from bimtdp_torch.training.logs import CsvFile

WIDTHS = [16, 18, 20, 24]
CASES = [
    dict(name="single_task", task="depth", backbone="resnet_tiny", binary=True),
    dict(name="multi_task", dataset="pascal_small", backbone="resnet_tiny"),
    dict(name="mti_net", dataset="nyud2_aux"),
    dict(name="bi_mtdp", dataset="nyud4", mask_binary=True),
    dict(name="bi_mtdp", preset="bireal", distillation_modules=2, attention={"identity": "real"}),
    dict(name="bi_mtdp", preset="reactnet", attention={"message_batch_norm": False}),
    dict(name="bi_mtdp_f", vib={"mu": "binary"}),
    dict(name="bi_mtdp_c", c_scope="decoder", head_binary=True),
    dict(
        name="bi_mtdp_c",
        dataset="nyud2_aux",
        distillation_modules=2,
        attention={"gate_source": "source", "message_weights": "pairwise"},
    ),
    dict(name="bi_mtdp_c", backbone="efficientnet_lite0", widths=WIDTHS, c_scope="mmd+fpm"),
]


def model_file(tmp_path, floats="f32", trained=True, **options):
    """(network, its model file, not compared with the library: other tests do that)."""
    network = randomise(tiny(**options))
    network = train_briefly(network, 1) if trained else network
    config = {"backbone": "hrnet_tiny", "dataset": "nyud2", **options}
    source = Source(network, "tiny", 32, size=(64, 96), provenance={"network": canonical_json(config), "training_steps": "7"})
    convert(source, tmp_path / "m.safetensors", Options(quiet=True, verify=False, floats=floats))
    return network, tmp_path / "m.safetensors"


@pytest.mark.parametrize("options", CASES, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_the_same_network_comes_back(tmp_path, options):
    """``restore`` compares all tensors of the graph; here the maps are compared, too, and every weight sign by sign.

    Maps are equal up to rounding (a convolution's own bias is part of the batch normalisation's) and the ties of signs
    that this may turn.
    """
    network, file = model_file(tmp_path, **options)
    restored = restore(file)
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for task, expected in network(x).items():
            close = torch.isclose(restored.network(x)[task], expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
            assert close.float().mean() > 0.99, task
    own, back = (dict(n.named_modules()) for n in (network, restored.network))
    signs = [name for name, layer in own.items() if isinstance(layer, BinaryConv2d) and f"{name}.weight" in restored.keys]
    assert bool(signs) == (options["name"].startswith("bi_mtdp") or "binary" in options)
    for name in signs:
        assert torch.equal(own[name].binary_weight(), back[name].binary_weight()), name
        if own[name].scaled:
            assert torch.equal(own[name].weight_scale(), back[name].weight_scale()), name


def test_what_only_training_needs_stays_fresh(tmp_path):
    network, file = model_file(tmp_path, name="bi_mtdp_f")
    missing = {key for key in network.state_dict() if "num_batches" not in key} - set(restore(file).keys)
    assert missing and all(".decoders." in key or ".logvar." in key for key in missing)
    assert set(read_state_dict(file)) == set(restore(file).keys)


def test_it_takes_the_place_of_a_checkpoint(tmp_path):
    _, file = model_file(tmp_path, name="bi_mtdp", floats="f16")
    config, network, step = load_checkpoint(file)
    assert config["name"] == "tiny" and config["train"]["phases"] == [{"size": [64, 96]}] and step == 7
    assert not network.training and list(network.tasks) == ["semseg", "depth"]
    found = initialise_from(tiny("bi_mtdp_f"), read_state_dict(file))
    assert len(found.used) > 300 and not found.misfits and not found.ignored


def test_statistics_change_nothing_but_training(tmp_path):
    """Batch normalisation of a restored network has no statistics, so training mode computes something else at first."""
    _, file = model_file(tmp_path, trained=False, name="mti_net")
    network = restore(file).network
    random = torch.Generator().manual_seed(1)
    batches = [torch.randn(4, 3, 64, 64, generator=random) for _ in range(2)]
    both = torch.cat(batches)

    def maps(training):
        network.train(training)
        state = {key: value.clone() for key, value in network.state_dict().items()}
        with torch.no_grad():
            result = network(both)["depth"]
        network.load_state_dict(state)
        return result

    before = maps(False)
    assert (maps(True) - before).abs().max() > 0.1 * before.abs().max()
    measure_statistics(network, batches)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.running_mean.abs().max() > 0 for m in norms)
    for training in (False, True):
        torch.testing.assert_close(maps(training), before, rtol=1e-3, atol=1e-3 * float(before.abs().max()))


def test_training_starts_from_a_model_file_and_is_taught_by_one(data_folder, tmp_path):
    network = dict(name="bi_mtdp", dataset="nyud4", segmentation_classes=39)
    _, file = model_file(tmp_path, **network)
    config = {
        "name": "tiny",
        "network": {**network, "backbone": "hrnet_tiny"},
        "init": {"checkpoint": str(file)},
        "distillation": {"teacher": str(file), "maps": "online", "size": [64, 64]},
        "train": {
            "seed": 1,
            "lr": 1e-3,
            "warmup": 0,
            "amp": "off",
            "fused": False,
            "validation_every": 0,
            "log_every": 1,
            "recalibration_batches": 2,
            "phases": [{"size": [64, 64], "batch": 2, "steps": 2}],
        },
    }
    trainer = Trainer(config, data_folder, tmp_path / "run")
    assert all(m.running_mean.abs().max() > 0 for m in trainer.network.modules() if isinstance(m, nn.BatchNorm2d))
    x = next(trainer.batches.statistics())
    with torch.no_grad():
        expected, got = restore(file).network(x)["semseg"], trainer.network.eval()(x)["semseg"]
    assert torch.isclose(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())).float().mean() > 0.98
    trainer.run()
    losses = CsvFile(tmp_path / "run" / "losses.csv").read()
    assert len(losses) == 2 and float(losses[0]["distillation"]) > 0
    resumed = Trainer(config, data_folder, tmp_path / "run")
    assert resumed.resume() and resumed.step == 2


@pytest.mark.parametrize("name", ["bi_mtdp_w18_nyud4", "bi_mtdp_c_lite0_nyud4"])
def test_shipped_models(name):
    """Whatever changes in the converter, files that are out there stay readable."""
    restored = restore(REPOSITORY / "examples" / "models" / f"{name}.safetensors")
    assert list(restored.network.tasks) == ["semseg", "normals", "edge", "depth"] and len(restored.keys) > 1000


def test_refusals(tmp_path):
    convert_module(nn.Conv2d(3, 4, 3), tmp_path / "own.safetensors")
    with pytest.raises(ModelFileError, match="own.safetensors: does not say which network of the family"):
        restore(tmp_path / "own.safetensors")
    write_safetensors(tmp_path / "other.safetensors", {"a": np.zeros(3, np.float32)})
    with pytest.raises(ModelFileError, match="other.safetensors: a safetensors file, but no bimtdp model"):
        restore(tmp_path / "other.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 10)
    with pytest.raises(ModelFileError, match="noise.safetensors: no safetensors file"):
        load_checkpoint(tmp_path / "noise.safetensors")


def test_a_file_that_is_not_what_it_says_is_refused(tmp_path):
    """Another network's graph, a tensor of another shape, a filter whose signs IR-Net's standardising cannot give."""
    _, file = model_file(tmp_path, name="mti_net")
    description, tensors = read_model_file(file)

    def written(description, tensors):
        write_model_file(tmp_path / "bad.safetensors", tensors, description)
        return tmp_path / "bad.safetensors"

    other = {**description, "provenance": {"network": '{"name":"bi_mtdp","backbone":"hrnet_tiny","dataset":"nyud2"}'}}
    with pytest.raises(ModelFileError, match="its graph is not that of its network"):
        restore(written(other, tensors))
    unknown = {**description, "provenance": {"network": '{"name":"other"}'}}
    with pytest.raises(ModelFileError, match="bad.safetensors"):
        restore(written(unknown, tensors))
    name = "backbone.conv1.scale"
    with pytest.raises(ModelFileError, match="has the shape"):
        restore(written(description, {**tensors, name: tensors[name][:3]}))

    network, file = model_file(tmp_path, name="bi_mtdp", preset="irnet")
    description, tensors = read_model_file(file)
    packed = next(key for key in tensors if tensors[key].dtype == np.uint8)
    constant = tensors[packed].copy()
    constant[0] = 255
    with pytest.raises(ModelFileError, match="scale of the weights holds NaN or infinity"):
        restore(written(description, {**tensors, packed: constant}))
