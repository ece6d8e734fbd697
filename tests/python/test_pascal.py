# SPDX-License-Identifier: Apache-2.0
"""The reader of PASCAL_MT and its augmentation, on two photos made here in the archive's layout."""

import json
import shutil
import sys

import numpy as np
import photo_tools
import pytest
import torch
from PIL import Image

from bimtdp_torch.data import datasets, pascal, pascal_samples
from bimtdp_torch.data.checks import check_mat
from bimtdp_torch.data.pascal_samples import Motion
from bimtdp_torch.metrics.evaluation import score
from bimtdp_torch.training import Trainer

import evaluate

loadmat = pytest.importorskip("scipy.io")
SIZE = (48, 64)
STILL = Motion(False, 0.0, 1.0)


def objects(*entries):
    """MATLAB's struct array of (class_ind, mask, [(part, mask), ..])."""
    part_type, item_type = (
        [(name, object) for name in names.split()] for names in ("part_name mask", "class class_ind mask parts")
    )
    result = np.empty((1, len(entries)), item_type)
    for i, (number, mask, parts) in enumerate(entries):
        stored = np.empty((1, len(parts)), part_type)
        for j, part in enumerate(parts):
            stored[0, j] = part
        result[0, i] = ("thing", number, mask, stored if parts else np.zeros((0, 0)))
    return result


def box(top, bottom, left, right):
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("PASCAL_MT")
    for folder in (
        "JPEGImages",
        "ImageSets/Context",
        "semseg/VOC12",
        "semseg/pascal-context",
        "human_parts",
        "pascal-context/trainval",
        "normals_distill",
        "sal_distill",
    ):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Context/train.txt").write_text("2008_1\n2008_2\n")
    (root / "ImageSets/Context/val.txt").write_text("2008_2\n")
    person, dog = box(10, 40, 8, 24), box(20, 40, 40, 60)
    for name, folder in (("2008_1", "VOC12"), ("2008_2", "pascal-context")):
        photo = np.full((*SIZE, 3), 90, np.uint8)
        photo[person > 0], photo[dog > 0] = (200, 40, 40), (40, 200, 40)
        Image.fromarray(photo).save(root / f"JPEGImages/{name}.jpg", quality=95)
        labels = Image.fromarray((15 * person + 12 * dog).astype(np.uint8), "P")
        labels.putpalette(list(range(256)) * 3)
        labels.save(root / f"semseg/{folder}/{name}.png")
        parts = [("head", box(10, 18, 8, 24)), ("lfoot", box(36, 40, 8, 24))] if name == "2008_1" else []
        loadmat.savemat(
            root / f"human_parts/{name}.mat",
            {"anno": {"imname": name, "objects": objects((15, person, parts), (12, dog, [("tail", dog)]))}},
        )
        context = np.full(SIZE, 360, np.uint16)  # sky
        context[person > 0], context[dog > 0] = 284, 113
        loadmat.savemat(root / f"pascal-context/trainval/{name}.mat", {"LabelMap": context})
        normals = np.zeros((*SIZE, 3), np.uint8) + np.array((255, 128, 128), np.uint8)  # to the right
        Image.fromarray(normals).save(root / f"normals_distill/{name}.png")
        Image.fromarray(255 * dog).save(root / f"sal_distill/{name}.png")
    return root


@pytest.fixture(scope="module")
def frames(archive):
    return datasets.load_frames("pascal5", archive, datasets.read_list("pascal5", archive, "train"))


def test_the_archive_is_read(frames, archive):
    first, second = pascal.read_frame(frames, 0), pascal.read_frame(frames, 1)
    assert first["semseg"][20, 10] == 15 and first["semseg"][30, 50] == 12 and (first["semseg"] == second["semseg"]).all()
    assert [first["human_parts"][y, 10] for y in (12, 25, 38)] == [1, 0, 6] and not second["human_parts"].any()
    assert first["sal"][30, 50] == 1 and first["sal"].sum() == 400
    np.testing.assert_allclose(first["normals"][20, 10], (1, 0, 0), atol=0.01)
    assert not first["normals"][0, 0].any()  # the sky is no class of a room
    edge = first["edge"]
    assert edge[8:42, 20:28].any() and not edge[:, 30:36].any()
    assert not (edge[1:, 1:] & edge[:-1, :-1] & edge[1:, :-1] & edge[:-1, 1:]).any()  # one pixel wide
    assert datasets.read_list("pascal5", archive, "test") == ["2008_2"]
    with pytest.raises(ValueError, match="train.txt: missing; is .* the folder PASCAL_MT"):
        datasets.read_list("pascal5", archive / "JPEGImages", "train")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-30])


def test_all_problems_are_named_at_once(archive, tmp_path):
    root = tmp_path / "PASCAL_MT"
    shutil.copytree(archive, root)
    (root / "JPEGImages/2008_1.jpg").unlink()
    cut_off(root / "JPEGImages/2008_2.jpg")
    wrong = np.full(SIZE, 3, np.uint8)
    wrong[0, :2] = 21, 254
    Image.fromarray(wrong).save(root / "semseg/VOC12/2008_1.png")
    cut_off(root / "human_parts/2008_1.mat")
    (root / "human_parts/2008_2.mat").write_text("text")
    loadmat.savemat(root / "pascal-context/trainval/2008_1.mat", {"labels": wrong}, do_compression=True)
    loadmat.savemat(root / "pascal-context/trainval/2008_2.mat", {"LabelMap": wrong}, do_compression=True)
    content = bytearray((root / "pascal-context/trainval/2008_2.mat").read_bytes())
    content[-3] ^= 1  # of the checksum
    (root / "pascal-context/trainval/2008_2.mat").write_bytes(content)
    Image.fromarray(wrong).save(root / "normals_distill/2008_1.png")
    (root / "sal_distill/2008_2.png").unlink()
    with pytest.raises(ValueError, match="9 problems with the data") as caught:
        datasets.load_frames("pascal5", root, datasets.read_list("pascal5", root, "train"))
    for line, expected in zip(
        str(caught.value).splitlines()[1:],
        (
            "JPEGImages/2008_1.jpg: missing",
            "semseg/VOC12/2008_1.png: labels 21, 254, expected 0 to 20, or 255 where the class is unknown",
            "human_parts/2008_1.mat: ",
            "normals_distill/2008_1.png: a picture of the kind L, expected RGB or RGBA",
            "pascal-context/trainval/2008_1.mat: has no variable LabelMap (it has labels)",
            "JPEGImages/2008_2.jpg: image file is truncated",
            "human_parts/2008_2.mat: ",
            "sal_distill/2008_2.png: missing",
            "pascal-context/trainval/2008_2.mat: Error -3 while decompressing data: incorrect data check",
        ),
    ):
        assert line.strip().startswith(f"{root}/{expected}"), line
    frames = datasets.PascalFrames(root, ["2008_2"], ("semseg",))  # as if it had been spoilt later
    with pytest.raises(ValueError, match="JPEGImages/2008_2.jpg: image file is truncated"):
        pascal.read_frame(frames, 0)


def test_a_photo_that_exif_turns_is_named(archive, tmp_path):
    root = tmp_path / "PASCAL_MT"
    shutil.copytree(archive, root)
    for name in ("2008_1", "2008_2"):
        path = root / f"JPEGImages/{name}.jpg"
        path.write_bytes(photo_tools.with_orientation(path.read_bytes(), 8))
    with pytest.raises(ValueError, match="2 problems(.*\n.*EXIF turns this photo .orientation 8.){2}"):
        datasets.load_frames("pascal5", root, ["2008_1", "2008_2"])


@pytest.mark.parametrize("name", ["a", "anno", "LabelMap"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_is_looked_at_without_reading_it(tmp_path, name, compressed):
    path = tmp_path / "x.mat"
    loadmat.savemat(path, {"other": 1.0, name: np.arange(6).reshape(2, 3)}, do_compression=compressed)
    check_mat(path, name)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="x.mat: (no MAT-file|is cut off|has no variable)"):
            check_mat(path, name)


def test_a_part_that_is_none_is_named(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "data")
    parts = objects((15, box(10, 40, 8, 24), [("wing", box(10, 18, 8, 24))]))
    loadmat.savemat(tmp_path / "data/human_parts/2008_1.mat", {"anno": {"imname": "2008_1", "objects": parts}})
    frames = datasets.load_frames("pascal5", tmp_path / "data", ["2008_1"])
    with pytest.raises(ValueError, match="human_parts/2008_1.mat: a person has a part 'wing', expected one of hair, head"):
        pascal.read_frame(frames, 0)


def test_a_sample_at_rest_is_the_photo(frames):
    frame = pascal.read_frame(frames, 0)
    sample = pascal_samples.make_sample(frame, STILL, SIZE)
    torch.testing.assert_close(sample["image"], torch.from_numpy(frame["image"].copy()).permute(2, 0, 1) / 255)
    for task in ("semseg", "human_parts"):
        assert (sample[task].numpy() == frame[task]).all()
    for task in ("sal", "edge"):
        assert (sample[task][0].numpy() == frame[task]).all()
    np.testing.assert_allclose(sample["normals"].permute(1, 2, 0).numpy(), frame["normals"], atol=1e-5)
    assert (pascal_samples.make_sample(pascal.read_frame(frames, 1), STILL, SIZE)["human_parts"] == pascal.UNKNOWN).all()


def test_flips_and_turns(frames):
    frame = pascal.read_frame(frames, 0)
    mirrored = pascal_samples.make_sample(frame, Motion(True, 0.0, 1.0), SIZE)
    assert (mirrored["semseg"].numpy() == frame["semseg"][:, ::-1]).all()
    np.testing.assert_allclose(mirrored["normals"][:, 20, 63 - 10], (-1, 0, 0), atol=0.01)
    square = {k: v[:, 8:56] for k, v in frame.items()}
    turned = pascal_samples.make_sample(square, Motion(False, 90.0, 1.0), (48, 48))
    assert (turned["semseg"].numpy() == np.rot90(square["semseg"])).all()  # counter-clockwise
    y, x = np.argwhere(np.rot90(square["semseg"]) == 15)[50]
    np.testing.assert_allclose(turned["normals"][:, y, x], (0, -1, 0), atol=0.01)  # from right to up; y runs down


def test_what_a_scale_below_one_uncovers_is_unknown(frames):
    sample = pascal_samples.make_sample(pascal.read_frame(frames, 0), Motion(False, 0.0, 0.75), SIZE)
    for task in ("semseg", "human_parts", "sal", "edge"):
        assert (sample[task].reshape(*SIZE)[:5] == pascal.UNKNOWN).all() and sample[task].reshape(*SIZE)[24, 32] == 0
    assert not sample["normals"][:, :5].any()
    assert sample["semseg"].eq(15).sum().item() == pytest.approx(0.75**2 * 30 * 16, rel=0.1)


def test_batches_are_a_function_of_seed_and_step(frames):
    first, again, other = (datasets.make_batch(frames, 1, step, 2, (32, 32), 1.7, 0.2) for step in (3, 3, 4))
    assert all(torch.equal(first[k], again[k]) for k in first) and not torch.equal(first["image"], other["image"])
    part = datasets.make_batch(frames, 1, 3, 2, (32, 32), 1.7, 0.2, part=slice(1, 2))
    assert all(torch.equal(first[k][1:], part[k]) for k in part)
    assert first["semseg"].shape == (2, 32, 32) and first["edge"].shape == (2, 1, 32, 32)
    with pytest.raises(ValueError, match="begins with nyud or pascal"):
        datasets.data_family("cityscapes")


def test_perfect_predictions_score_perfectly(frames):
    def predictor(photos):
        for index in range(len(photos)):
            truth = pascal.read_frame(frames, index)
            yield {
                "semseg": np.eye(21, dtype=np.float32)[truth["semseg"]],
                "human_parts": np.eye(7, dtype=np.float32)[truth["human_parts"]],
                "sal": 20.0 * truth["sal"][..., None] - 10,
                "edge": 20.0 * truth["edge"][..., None] - 10,
                "normals": truth["normals"],
            }

    result = score(frames, predictor, SIZE)
    assert result["miou"] == pytest.approx(100 * 3 / 21)  # absent classes count as 0
    assert result["human_parts_miou"] == pytest.approx(100 * 3 / 7)
    assert result["sal_maxf"] == result["sal_miou"] == pytest.approx(100)
    assert result["normals_degrees"] == pytest.approx(0, abs=1e-3) and result["normals_11_25"] == 100
    assert result["odsf"] > 95  # suppression takes some pixels of corners


def test_training_on_five_tasks(archive, tmp_path, monkeypatch, capsys):
    torch.set_num_threads(1)
    config = {
        "name": "tiny",
        "network": {"name": "multi_task", "backbone": "efficientnet_lite0", "dataset": "pascal5"},
        "train": {
            "lr": 1e-3,
            "validation_every": 0,
            "log_every": 1,
            "recalibration_batches": 1,
            "amp": "off",
            "phases": [{"size": [32, 64], "batch": 2, "steps": 2}],
        },
    }
    Trainer(config, archive, tmp_path).run()
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(",")))
    assert len(rows) == 3 and all(float(last[task]) > 0 for task in ("semseg", "human_parts", "sal", "normals", "edge"))
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "evaluate.py",
            str(tmp_path / "final.pt"),
            "--data",
            str(archive),
            "--json",
            str(tmp_path / "scores.json"),
            "--threads",
            "1",
        ],
    )
    evaluate.main()
    assert "final.pt at 32x64, 1 frames of test" in capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["engine"] == "pytorch" and {"miou", "sal_maxf", "normals_degrees", "odsf"} <= set(scores["metrics"])
    assert "human_parts_miou" not in scores["metrics"]  # there is nobody in the photo
