# SPDX-License-Identifier: Apache-2.0
"""The converter on whole networks: a user's own, our families, public checkpoints; the file it writes; the command line."""

import struct
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from convert_tools import REPOSITORY, UserNet, convert_module, ops, randomise, read_metadata
from safetensors.numpy import load_file

from bimtdp_torch.checkpoints import CheckpointError
from bimtdp_torch.export import ConversionError, Options, Source, VerificationError, convert
from bimtdp_torch.export.model_file import tensors_hash, write_model_file
from bimtdp_torch.export.numerics import fma, fold_batch_norm
from bimtdp_torch.export.pipeline import Conversion
from bimtdp_torch.export.self_test import self_test_photo, splitmix64
from bimtdp_torch.export.verify import build_verify_model, compare_with_pytorch, replay_self_test
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.sources import load_checkpoint, load_source, network_config

NUMBER = {"nyud2": 1316, "nyud4": 1682}  # entries of a public W18 state_dict


def run_convert(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "convert.py"), *map(str, arguments)], capture_output=True, text=True
    )


# -- arithmetic ------------------------------------------------------------------------------------------------------


def test_fma_rounds_once():
    random = np.random.default_rng(0)
    x, y = (random.standard_normal(20000).astype(np.float32) for _ in range(2))
    # near cancellation and halfway cases are where rounding twice shows
    z = np.where(random.random(20000) < 0.5, -(x * y), random.standard_normal(20000).astype(np.float32) * 2.0**24)
    z = z.astype(np.float32)
    got = fma(x, y, z)
    for i in range(0, 20000, 7):
        exact = Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(z[i]))
        error = abs(Fraction(float(got[i])) - exact)
        for neighbour in (np.nextafter(got[i], np.float32(np.inf)), np.nextafter(got[i], np.float32(-np.inf))):
            assert error <= abs(Fraction(float(neighbour)) - exact)


def test_folded_batch_norm_is_pytorchs():
    norm = randomise(torch.nn.BatchNorm2d(33))
    x = torch.randn(1, 33, 5, 7) * 20
    scale, bias = (v.reshape(1, -1, 1, 1) for v in fold_batch_norm(norm, "test"))
    ours = fma(x.numpy(), np.broadcast_to(scale, x.shape), np.broadcast_to(bias, x.shape))
    assert np.allclose(ours, norm(x).detach().numpy(), rtol=0, atol=1e-5)
    assert (ours == norm(x).detach().numpy()).mean() > 0.9  # all of them on CPUs with FMA


def test_self_test_photo():
    assert splitmix64(0, 1)[0] == 0xE220A8397B1DCDAF
    photo = self_test_photo(20, 17, 5)
    assert photo.shape == (20, 17, 3) and (photo[:8, :8] == photo[0, 0]).all() and (photo[8:16, 8:16] == photo[8, 8]).all()


# -- networks --------------------------------------------------------------------------------------------------------


def test_users_network_is_fused_and_verified(tmp_path):
    result = convert_module(randomise(UserNet()), tmp_path / "net.safetensors", stride=4)
    assert result.largest() < 2e-6 and result.flips("free") == 0
    kinds = ops(result)
    # convolution + BN + residual + activation are one node; BN before a sign is part of the binarizer
    assert kinds.count("binary_conv2d") == 5 and kinds.count("binarize") == 4 and kinds.count("affine") == 3
    assert "activation" not in kinds[:10]
    nodes = read_metadata(tmp_path / "net.safetensors")["nodes"]
    assert [n["output"] for n in nodes if n["op"] == "binary_conv2d"] == ["float"] * 3 + ["bits", "float"]
    assert [n["activation"]["kind"] for n in nodes if n["op"] == "binary_conv2d" and "activation" in n] == [
        "prelu",
        "rprelu",
        "hardtanh",
    ]
    assert nodes[3]["inputs"] == [2, 1], "the shortcut of the first block is a residual"


@pytest.mark.parametrize(
    "config",
    [
        {"name": "bi_mtdp", "backbone": "hrnet_w18", "dataset": "nyud2_aux", "mask_binary": True},
        {"name": "bi_mtdp_c", "backbone": "efficientnet_lite0", "dataset": "nyud2", "c_scope": "decoder", "head_binary": True},
    ],
    ids=lambda c: c["name"],
)
def test_half_precision_networks_of_real_size(tmp_path, config):
    network = randomise(build_network(config))
    result = convert(
        Source(network, config["name"], 32), tmp_path / "m.safetensors", Options(quiet=True, floats="f16", self_test_size=(64, 64))
    )
    assert result.largest() < 1e-5 and result.flips() <= 2
    assert not any("decoders" in n["name"] for n in result.report["nodes"]), "training-only decoders are dropped"


def test_checkpoint_of_train_py(tmp_path):
    config = {
        "name": "small",
        "network": {"name": "mti_net", "backbone": "efficientnet_lite0", "dataset": "nyud4", "segmentation_classes": 39},
        "train": {"phases": [{"size": [96, 128]}]},
    }
    network = randomise(build_network(config["network"]))
    torch.save({"config": config, "model": network.state_dict(), "step": 7, "optimizer": {"state": {}}}, tmp_path / "c.pt")
    done = run_convert(
        tmp_path / "c.pt",
        "-o",
        tmp_path / "m.safetensors",
        "--floats",
        "f16",
        "--licence",
        "Apache-2.0",
        "--provenance",
        "data=none",
        "--no-verify",
        "--rounded-checkpoint",
        tmp_path / "rounded.pt",
    )
    assert done.returncode == 0, done.stderr
    weight = load_checkpoint(tmp_path / "rounded.pt").network.heads["depth"].last_layer["3"].weight.detach()
    assert torch.equal(weight, network.heads["depth"].last_layer["3"].weight.half().float())
    text = read_metadata(tmp_path / "m.safetensors")
    assert text["name"] == "small" and text["licence"] == "Apache-2.0" and text["stride"] == 32
    assert (text["preprocessing"]["height"], text["preprocessing"]["width"]) == (96, 128)
    assert text["provenance"]["data"] == "none" and text["provenance"]["training_steps"] == "7"
    kinds = {o["task"]: o["kind"] for o in text["outputs"]}
    assert kinds == {"semseg": "classes", "normals": "normals", "edge": "edges", "depth": "depth"}
    assert text["outputs"][0]["class_names"][:2] == ["wall", "floor"] and text["self_test"] == {"unchecked": True}
    checked = subprocess.run([build_verify_model(), tmp_path / "m.safetensors"], capture_output=True, text=True)
    assert checked.returncode == 1 and "no self-test" in checked.stderr


def test_public_checkpoint(tmp_path):
    network = randomise(build_network({"name": "mti_net", "backbone": "hrnet_w18", "dataset": "nyud2"}))
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    assert len(state) == NUMBER["nyud2"]
    torch.save({"optimizer": {"state": {}, "param_groups": []}, "model": state, "epoch": 3}, tmp_path / "checkpoint.pth.tar")
    arguments = (tmp_path / "checkpoint.pth.tar", "-o", tmp_path / "m.safetensors")
    assert "--network" in run_convert(*arguments).stderr
    done = run_convert(*arguments, "--network", "mti_net_w18_nyud2", "--self-test-size", 64, 64)
    assert done.returncode == 0, done.stderr
    assert "compared 329 tensors" in done.stdout and "329 tensors identical" in done.stdout
    wrong = run_convert(*arguments, "--network", "mti_net_w18_nyud4")
    assert wrong.returncode == 1 and "missing scale_0.refinement.normals.0.conv1.weight" in wrong.stderr
    unknown = run_convert(*arguments, "--network", "mti_net_w19_nyud2")
    assert unknown.returncode == 1 and "unknown network 'mti_net_w19_nyud2'" in unknown.stderr


@pytest.mark.parametrize(
    "name,expected",
    [
        ("mti_net_w48_nyud2_aux", {"name": "mti_net", "backbone": "hrnet_w48", "dataset": "nyud2_aux"}),
        ("bi_mtdp_c_lite2_nyud4", {"name": "bi_mtdp_c", "backbone": "efficientnet_lite2", "dataset": "nyud4"}),
        ("bi-mtdp-f-r18-pascal-small", {"name": "bi_mtdp_f", "backbone": "resnet18", "dataset": "pascal_small"}),
        ("multi_task_r101_pascal5", {"name": "multi_task", "backbone": "resnet101", "dataset": "pascal5"}),
        (
            "single_task_w18_pascal5_human_parts",
            {"name": "single_task", "backbone": "hrnet_w18", "dataset": "pascal5", "task": "human_parts"},
        ),
    ],
)
def test_names_of_networks(name, expected):
    assert network_config(name) == expected


@pytest.mark.parametrize("name", ["single_task_w18_nyud4", "mti_net_w18_nyud4_depth", "mti_net_w18", "bi_mtdp_x_w18_nyud4"])
def test_other_names_are_refused(name):
    with pytest.raises(ConversionError, match="single_task names its task"):
        network_config(name)


def test_command_line_with_a_users_module(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())\n"
    )
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict(), tmp_path / "w.pt")
    done = run_convert(tmp_path / "w.pt", "--module", f"{tmp_path / 'net.py'}:build", "-o", tmp_path / "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert [n["op"] for n in read_metadata(tmp_path / "m.safetensors")["nodes"]] == ["input", "conv2d"]


def test_other_than_three_channels(tmp_path):
    result = convert_module(randomise(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3))), tmp_path / "m.safetensors", channels=1)
    assert result.report["failures"] == 0
    assert read_metadata(tmp_path / "m.safetensors")["self_test"] == {"unchecked": True}


# -- the file --------------------------------------------------------------------------------------------------------


def test_file_is_reproducible_and_readable(tmp_path):
    network = randomise(UserNet())
    for name in ("a", "b"):
        convert_module(network, tmp_path / name, stride=4)
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    header = struct.unpack("<Q", content[:8])[0]
    assert (8 + header) % 64 == 0
    text = read_metadata(tmp_path / "a")
    tensors = load_file(tmp_path / "a")
    assert text["tensors_hash"] == tensors_hash(tensors)
    assert len(text["self_test"]["digests"]) == len(text["nodes"])
    signs = tensors["blocks.1.conv.weight"]
    weight = network.blocks[1].conv.weight.detach().numpy()  # 36 x 5 x 3 x 3: 5 channels a group
    assert signs.shape == (36, 3, 3, 1) and signs.dtype == np.uint8
    assert (np.unpackbits(signs, axis=-1, bitorder="little")[..., :5].transpose(0, 3, 1, 2) == (weight >= 0)).all()


def test_half_precision(tmp_path):
    result = convert_module(randomise(UserNet()), tmp_path / "half", stride=4, floats="f16")
    assert result.largest() < 2e-6, "PyTorch is compared with the rounded weights"
    tensors = load_file(tmp_path / "half")
    for name, tensor in tensors.items():
        assert tensor.dtype == (
            np.uint8
            if tensor.ndim == 4 and name.split(".")[-2] in ("conv", "mid", "last") or name in ("mid.weight", "last.weight")
            else np.float16
            if tensor.ndim > 1
            else np.float32
        ), name
    huge = torch.nn.Conv2d(3, 1, 1)
    huge.weight.data.fill_(1e5)
    with pytest.raises(ConversionError, match="do not fit half precision"):
        convert_module(huge, tmp_path / "huge", floats="f16")


# -- the check can fail ----------------------------------------------------------------------------------------------


def edit_model(path, change) -> None:
    """Applies ``change(tensors, text)`` and writes a file that is legal again."""
    tensors, text = dict(load_file(path)), read_metadata(path)
    change(tensors, text)
    text["tensors_hash"] = tensors_hash(tensors)
    write_model_file(path, tensors, text)


def flip_a_sign(tensors, text) -> None:
    tensors["mid.weight"] = tensors["mid.weight"] ^ np.uint8(1) * (np.arange(tensors["mid.weight"].size) == 0).reshape(
        tensors["mid.weight"].shape
    ).astype(np.uint8)


def change_a_weight(tensors, text) -> None:
    tensors["head.weight"] = tensors["head.weight"] * np.float32(1.001)


def swap_inputs(tensors, text) -> None:
    slices = [n for n in text["nodes"] if n["op"] == "slice"]
    slices[0]["begin"], slices[0]["end"] = slices[0]["begin"] + 1, slices[0]["end"] + 1


@pytest.mark.parametrize("change", [flip_a_sign, change_a_weight, swap_inputs], ids=lambda c: c.__name__)
def test_a_wrong_model_is_found(tmp_path, change):
    conversion = Conversion(Source(randomise(UserNet()), "test", 4), tmp_path / "m", Options(self_test_size=(24, 40)))
    conversion.build(conversion.photo(1))
    conversion.write(tmp_path / "m", {"unchecked": True})
    program = build_verify_model(quiet=True)
    assert compare_with_pytorch(program, tmp_path / "m", conversion.nodes, quiet=True)["passed"]
    edit_model(tmp_path / "m", change)
    report = compare_with_pytorch(program, tmp_path / "m", conversion.nodes, quiet=True)
    assert not report["passed"] and report["failures"] == 1, report["messages"]


def test_the_self_test_finds_a_changed_weight(tmp_path):
    convert_module(randomise(UserNet()), tmp_path / "m", stride=4)
    assert "tensors identical" in replay_self_test(build_verify_model(), tmp_path / "m")
    edit_model(tmp_path / "m", flip_a_sign)
    with pytest.raises(VerificationError, match="mid.* differs"):
        replay_self_test(build_verify_model(), tmp_path / "m")


def test_damaged_checkpoints(tmp_path):
    (tmp_path / "text").write_text("<html>")
    with pytest.raises(CheckpointError, match="read safely"):
        load_source(tmp_path / "text", "mti_net_w18_nyud2")
    torch.save({"model": [1, 2]}, tmp_path / "list")
    with pytest.raises(CheckpointError, match="holds no state_dict"):
        load_source(tmp_path / "list", "mti_net_w18_nyud2")
    with pytest.raises(FileNotFoundError, match="absent"):
        load_source(tmp_path / "absent")
