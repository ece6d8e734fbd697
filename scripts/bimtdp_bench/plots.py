# SPDX-License-Identifier: Apache-2.0
"""The plots of a run, as SVG files."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from bimtdp_torch.files import whole_file

from .jobs import LAYERS
from .results import Results, get, time_us
from .tables import best, title, top_tier

matplotlib.rcParams.update(
    {"svg.hashsalt": "bimtdp", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
)


def layer_work(layer: str) -> Tuple[float, float]:
    """(multiply-adds, bytes of the bits in, the weights and the floats out) of a binary layer, borders counted as inside."""
    kernel, channels, size, *options = layer.split("/")
    k = int(kernel.split("x")[0])
    cin, cout = map(int, channels.split("x"))
    height, width = map(int, size.split("x"))
    stride = next((int(o[6:]) for o in options if o.startswith("stride")), 1)
    groups = next((int(o[6:]) for o in options if o.startswith("groups")), cin if "depthwise" in options else 1)
    pixels = height * width / stride**2
    macs = pixels * cout * cin / groups * k * k
    return macs, height * width * cin / 8 + cout * cin / groups * k * k / 8 + pixels * cout * 4


def bandwidth(results: Results, tier: str) -> Optional[float]:
    """Bytes a second of a copy, from the epilogue's share of it (12 bytes an element)."""
    name = f"epilogue/{tier}/56x56x256"
    time, share = get(results, name, "best_us"), get(results, name, "share_of_copy", statistic="median")
    return None if time is None or not share else 12 * 56 * 56 * 256 / (time * share * 1e-6)


def roofline(results: Results) -> Optional[plt.Figure]:
    """Every layer but the depthwise one, which has no words to fill; numbers are explained beside the plot."""
    layers = [layer for layer in LAYERS if "depthwise" not in layer]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for tier, colour in (("avx512", "tab:blue"), ("avx2", "tab:orange"), ("neon", "tab:green")):
        times = [time_us(results, f"binary_conv2d/{tier}/{layer}") for layer in layers]
        share = get(results, f"binary_conv2d/{tier}/{LAYERS[0]}", "share_of_peak", statistic="median")
        if None in times or not share:
            continue
        works = [layer_work(layer) for layer in layers]
        xs, ys = [macs / size for macs, size in works], [macs / t * 1e-6 for (macs, _), t in zip(works, times)]
        peak, copy = ys[0] / share, bandwidth(results, tier)
        if copy:
            roof = [peak * 1e11 / copy, peak * 1e12 / copy, max(xs) * 2]
            axes.plot(roof, [min(peak, x * copy * 1e-12) for x in roof], color=colour, lw=1)
        axes.plot(xs, ys, "o", color=colour, ms=4, label=tier)
        for i, (x, y) in enumerate(zip(xs, ys)):
            axes.annotate(str(i + 1), (x, y), fontsize=7, xytext=(3, -7), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="multiply-adds a byte", ylabel="binary TMAC/s", title="Roofline, one core")
    axes.legend(frameon=False, loc="lower right")
    axes.text(
        1.02,
        1.0,
        "\n".join(f"{i + 1}  {title(layer)}" for i, layer in enumerate(layers)),
        transform=axes.transAxes,
        fontsize=7,
        va="top",
    )
    return figure


def speed_ups(results: Results) -> Optional[plt.Figure]:
    peers: Dict[str, Callable[[str], Optional[float]]] = {
        "OpenVINO binary": lambda layer: time_us(results, f"openvino_binary/{layer}"),
        "oneDNN int8": lambda layer: best(results, "onednn", "int8", layer),
        "oneDNN int8, no AMX": lambda layer: best(results, "onednn_no_amx", "int8", layer),
        "oneDNN fp32": lambda layer: best(results, "onednn", "fp32", layer),
        "ncnn int8": lambda layer: best(results, "ncnn", "int8", layer),
    }
    tier = top_tier(results)
    layers = [layer for layer in LAYERS if time_us(results, f"binary_conv2d/{tier}/{layer}")]
    figure, axes = plt.subplots(figsize=(9.5, 4.5))
    measured = {peer: time for peer, time in peers.items() if any(time(layer) for layer in layers)}
    for i, (peer, time) in enumerate(measured.items()):
        values = [(time(layer) or 0) / time_us(results, f"binary_conv2d/{tier}/{layer}") for layer in layers]
        axes.bar([x + 0.16 * (i - 2) for x in range(len(layers))], values, 0.16, label=peer)
    axes.axhline(1, color="black", lw=0.8)
    axes.set_xticks(range(len(layers)), [title(layer) for layer in layers], rotation=40, ha="right", fontsize=7)
    axes.set(yscale="log", ylabel="time of the peer / ours", title=f"Speed-up of a layer, {tier}, one core")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def profile_groups(path: Path) -> List[Tuple[str, float, float]]:
    """(part of the network and operation, milliseconds, bound) of a profile, the slowest first."""
    sums: Dict[str, List[float]] = {}
    with open(path) as file:
        for row in csv.DictReader(file):
            op, _, name = re.sub(r"^node \d+ \(|\)$", "", row["node"]).partition(" ")
            part = ".".join(name.split(".")[:2]) if name.startswith("backbone") else name.split(".")[0]
            entry = sums.setdefault(f"{part} {op}", [0.0, 0.0])
            entry[0] += float(row["us"]) / 1e3
            entry[1] += float(row["bound_us"]) / 1e3
    return sorted(((key, *value) for key, value in sums.items()), key=lambda item: -item[1])


def layers_of_network(path: Path, most: int = 40) -> Optional[plt.Figure]:
    if not path.exists():
        return None
    groups = profile_groups(path)[:most][::-1]
    figure, axes = plt.subplots(figsize=(7, 0.17 * len(groups) + 1))
    axes.barh(range(len(groups)), [g[1] for g in groups], color="tab:blue", label="time")
    axes.barh(range(len(groups)), [g[2] for g in groups], 0.35, color="tab:orange", label="bound")
    axes.set_yticks(range(len(groups)), [g[0] for g in groups], fontsize=7)
    axes.set(xlabel="ms", title="Bi-MTDP W18, 480x640, one thread")
    axes.legend(frameon=False)
    return figure


def scaling(results: Results) -> Optional[plt.Figure]:
    """Image size, threads and width."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.2))
    sizes, tier = {}, top_tier(results)
    for name in results:
        match = re.fullmatch(rf"network/{tier}/bi_mtdp_w18/(\d+)x(\d+)/threads1", name)
        if match:
            sizes[int(match[1]) * int(match[2]) / 1e6] = time_us(results, name) / 1e3
    left.plot(sorted(sizes), [sizes[s] for s in sorted(sizes)], "o-")
    left.set(xlabel="megapixels", ylabel="ms", title="W18, one thread", xscale="log", yscale="log")
    for width in ("w18", "w48"):
        times = [get(results, f"network/{tier}/bi_mtdp_{width}/480x640/threads{t}", "wall_us") for t in (1, 2)]
        if all(times):
            middle.plot([1, 2], [times[0] / t for t in times], "o-", label=width.upper())
    middle.plot([1, 2], [1, 2], ":", color="grey")
    middle.set(xlabel="threads", ylabel="speed-up", xticks=[1, 2], title="480x640")
    middle.legend(frameon=False)
    for family, label in (
        (f"network/{tier}/bi_mtdp_{{}}", "ours"),
        ("onnxruntime/mti_net_{}.fp32", "onnxruntime fp32"),
        ("openvino/mti_net_{}.int8", "OpenVINO int8"),
    ):
        points = [(w, time_us(results, family.format(f"w{w}") + "/480x640/threads1")) for w in (18, 32, 48)]
        points = [(w, t / 1e3) for w, t in points if t]
        right.plot([p[0] for p in points], [p[1] for p in points], "o-", label=label)
    right.set(xlabel="width of HRNet", ylabel="ms", yscale="log", title="480x640, one thread")
    right.legend(frameon=False)
    return figure


def draw_all(stored: Mapping, folder: Path, profile: Path) -> None:
    """Writes the SVG files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    results = stored["results"]
    for name, figure in (
        ("roofline", roofline(results)),
        ("speed_up", speed_ups(results)),
        ("scaling", scaling(results)),
        ("layers", layers_of_network(profile)),
    ):
        if figure is not None:
            figure.tight_layout()
            with whole_file(folder / f"{name}.svg") as temporary:
                figure.savefig(temporary, metadata={"Date": None})
            plt.close(figure)
