# SPDX-License-Identifier: Apache-2.0
"""The networks of the suite: seeded weights, exported once to ONNX (fp32, int8) and to our model files.

Weights are random but fixed; they change no time, for every engine computes the same whatever the numbers are. Batch
normalisation gets its statistics from the example photos, so that activations have sensible sizes for calibration.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bimtdp_torch.data.photo_files import read_photo
from bimtdp_torch.data.samples import IMAGE_MEAN, IMAGE_STD
from bimtdp_torch.export import Options, Source, convert
from bimtdp_torch.export.pipeline import round_weights_to_half
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.networks.options import DATASETS

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE = (480, 640)
_STATISTICS_SIZE = (192, 256)
_BACKBONES = {"w18": "hrnet_w18", "w32": "hrnet_w32", "w48": "hrnet_w48", "lite0": "efficientnet_lite0"}

# name -> network section of a configuration; all have the four tasks of NYUD.
NETWORKS: Dict[str, dict] = {
    **{f"mti_net_{b}": {"name": "mti_net", "backbone": _BACKBONES[b]} for b in _BACKBONES},
    **{f"bi_mtdp_{b}": {"name": "bi_mtdp", "backbone": _BACKBONES[b], "mask_binary": True} for b in ("w18", "w32", "w48")},
    **{f"bi_mtdp_c_{b}_mmd": {"name": "bi_mtdp_c", "backbone": _BACKBONES[b], "c_scope": "mmd"} for b in ("lite0", "w18")},
    **{
        f"bi_mtdp_c_{b}_decoder": {"name": "bi_mtdp_c", "backbone": _BACKBONES[b], "c_scope": "decoder", "head_binary": True}
        for b in ("lite0", "w18")
    },
}


def photos(size: Tuple[int, int] = SIZE) -> List[np.ndarray]:
    """The example photos, normalised, (1, 3, H, W) float32."""
    images = []
    for path in sorted((REPOSITORY / "examples/photos").glob("*.jpg")):
        pixels = np.asarray(read_photo(path).resize((size[1], size[0]), Image.BILINEAR), np.float32) / 255
        images.append(((pixels - np.array(IMAGE_MEAN)) / np.array(IMAGE_STD)).astype(np.float32).transpose(2, 0, 1)[None])
    return images


def _take_statistics(network: nn.Module) -> None:
    """Sets the statistics of every batch normalisation from the example photos."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.1)
    with torch.no_grad():
        network.train()(torch.from_numpy(np.concatenate(photos(_STATISTICS_SIZE))))


def build(name: str) -> nn.Module:
    """The network in evaluation mode."""
    torch.manual_seed(1)
    network = build_network({**NETWORKS[name], "dataset": "nyud4"})
    _take_statistics(network)
    return network.eval().requires_grad_(False)


class _Listed(nn.Module):
    """A network with a list of maps in place of its dictionary, as ONNX wants it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> List[Tensor]:
        return list(self.network(x).values())


def export_onnx(name: str, path: Path) -> None:
    """Writes the ONNX file and compares onnxruntime's maps with PyTorch's."""
    import onnxruntime

    network, image = build(name), torch.from_numpy(photos()[0])
    with torch.no_grad():
        expected = network(image)  # before the export, which folds batch normalisation into the network's own weights
    torch.onnx.export(
        _Listed(network),
        (image,),
        str(path),
        input_names=["image"],
        output_names=list(DATASETS["nyud4"][0]),
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for got, (task, want) in zip(session.run(None, {"image": image.numpy()}), expected.items()):
        difference = float(np.abs(got - want.numpy()).max()) / float(want.abs().max())
        if not difference < 1e-3:
            raise RuntimeError(f"{path.name}: {task} of onnxruntime differs from PyTorch's by {difference:.1e} of its range")


class _Photos:
    """onnxruntime's calibration reader."""

    def __init__(self):
        self.left = [{"image": image} for image in photos()]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantize(fp32: Path, path: Path) -> None:
    """Static QDQ quantisation, calibrated on the example photos: u8 activations, s8 weights per channel."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)  # it fails on the grouped softmax
    quantize_static(
        str(prepared),
        str(path),
        _Photos(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    prepared.unlink()


def as_stored(name: str) -> nn.Module:
    """The network of our model file: a binary network's float weights are rounded to half precision."""
    network = build(name)
    if not name.startswith("mti_net"):
        round_weights_to_half(network)
    return network


def export_model(name: str, path: Path) -> None:
    """Our model file. scripts/convert.py has the verification; here only time matters."""
    tasks = DATASETS["nyud4"][0]
    convert(
        Source(build(name), name, stride=32, size=SIZE, kinds=dict.fromkeys(tasks, "raw")),
        path,
        Options(floats="f32" if name.startswith("mti_net") else "f16", verify=False, quiet=True),
    )


def ensure(folder: Path, name: str, kind: str) -> Path:
    """The file of a network, made where it is missing. kind: model, fp32 or int8."""
    path = folder / (f"{name}.safetensors" if kind == "model" else f"{name}.{kind}.onnx")
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    print(f"making {path.name}", file=sys.stderr, flush=True)
    draft = path.with_name("draft." + path.name)
    if kind == "int8":
        quantize(ensure(folder, name, "fp32"), draft)
    else:
        (export_model if kind == "model" else export_onnx)(name, draft)
    draft.rename(path)
    return path


if __name__ == "__main__":
    ensure(Path(sys.argv[1]), *sys.argv[2:4])
