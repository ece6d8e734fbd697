# SPDX-License-Identifier: Apache-2.0
"""Markdown tables of a run, and how they get between the markers of the documents:

<!-- benchmark:kernels -->
<!-- /benchmark:kernels -->
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from bimtdp_torch.files import write_text

from .jobs import LAYERS, REPOSITORY
from .results import Results, get, time_us

DOCUMENTS = (REPOSITORY / "README.md", REPOSITORY / "benchmarks" / "README.md")
SUMMARY = (
    ("Bi-MTDP, HRNet-W18", "bi_mtdp_w18", "mti_net_w18"),
    ("Bi-MTDP, HRNet-W48", "bi_mtdp_w48", "mti_net_w48"),
    ("Bi-MTDP-C, Lite0, whole decoder", "bi_mtdp_c_lite0_decoder", "mti_net_lite0"),
    ("Bi-MTDP-C, Lite0, distillation modules", "bi_mtdp_c_lite0_mmd", "mti_net_lite0"),
    ("Bi-MTDP-C, HRNet-W18, whole decoder", "bi_mtdp_c_w18_decoder", "mti_net_w18"),
)
_KINDS = {"fp32": ("fp32_direct", "fp32_winograd"), "int8": ("int8_direct", "int8_winograd")}


def top_tier(results: Results) -> str:
    """The highest tier that was measured."""
    return next((t for t in ("avx512", "avx2", "neon") if any(f"/{t}/" in name for name in results)), "baseline")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers. A column without any is left out."""
    kept = [i for i in range(len(head)) if not rows or any(row[i] != "-" for row in rows)]
    head, rows = [head[i] for i in kept], [[row[i] for i in kept] for row in rows]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def insert(document: Path, tables: Mapping[str, str]) -> List[str]:
    """Puts tables between their markers; returns the names of those whose markers the document has."""
    text, placed = document.read_text(), []
    for name, content in tables.items():
        pattern = rf"(<!-- benchmark:{re.escape(name)} -->\n).*?(<!-- /benchmark:{re.escape(name)} -->)"
        text, count = re.subn(pattern, lambda m, content=content: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL)
        placed += [name] * count
    write_text(document, text)
    return placed


def number(value: Optional[float]) -> str:
    """Three digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_ratio(value: Optional[float], ours: Optional[float], unit: float = 1.0) -> str:
    """A peer's time and, in brackets, how many times ours it is."""
    if value is None:
        return "-"
    return number(value / unit) + (f" ({number(value / ours)}x)" if ours else "")


def best(results: Results, engine: str, kind: str, layer: str) -> Optional[float]:
    """The faster of an engine's direct and Winograd convolutions."""
    times = [time_us(results, f"{engine}/{k}/{layer}") for k in _KINDS[kind]]
    return min((t for t in times if t is not None), default=None)


def title(layer: str) -> str:
    kernel, channels, size, *options = layer.split("/")
    return " ".join([kernel, channels.replace("x", "->") + ",", size, *options])


def kernels(results: Results) -> str:
    """Binary layers on the highest tier, in microseconds, beside the peers."""
    rows, tier = [], top_tier(results)
    for layer in LAYERS:
        name = f"binary_conv2d/{tier}/{layer}"
        ours = time_us(results, name)
        if ours is None:
            continue
        rows.append(
            [
                title(layer),
                number(ours),
                number(get(results, name, "share_of_peak", statistic="median")),
                number(time_us(results, f"binary_conv2d_bits/{tier}/{layer}")),
                with_ratio(time_us(results, f"openvino_binary/{layer}"), ours),
                *(
                    with_ratio(best(results, engine, kind, layer), ours)
                    for engine, kind in (
                        ("onednn", "fp32"),
                        ("onednn", "int8"),
                        ("onednn_no_amx", "int8"),
                        ("ncnn", "fp32"),
                        ("ncnn", "int8"),
                    )
                ),
            ]
        )
    return table(
        [
            f"layer, {tier}, us",
            "to floats",
            "share of peak",
            "to bits",
            "OpenVINO binary",
            "oneDNN fp32",
            "oneDNN int8",
            "oneDNN int8, no AMX",
            "ncnn fp32",
            "ncnn int8",
        ],
        rows,
    )


def kernels_avx2(results: Results) -> str:
    """The same on AVX2, peers limited to it."""
    rows = []
    for layer in LAYERS:
        name = f"binary_conv2d/avx2/{layer}"
        ours = time_us(results, name)
        if ours is not None:
            rows.append(
                [
                    title(layer),
                    number(ours),
                    number(get(results, name, "share_of_peak", statistic="median")),
                    number(time_us(results, f"binary_conv2d_bits/avx2/{layer}")),
                    *(with_ratio(best(results, "onednn_avx2", kind, layer), ours) for kind in ("fp32", "int8")),
                ]
            )
    return table(["layer, avx2, us", "to floats", "share of peak", "to bits", "oneDNN fp32", "oneDNN int8"], rows)


def float_layers(results: Results) -> str:
    """Float convolutions."""
    rows, tier = [], top_tier(results)
    for name in sorted(n for n in results if n.startswith(f"conv2d/{tier}/")):
        layer = name.split("/", 2)[2]
        ours = time_us(results, name)
        rows.append(
            [
                title(layer),
                number(ours),
                number(get(results, name, "share_of_peak", statistic="median")),
                with_ratio(time_us(results, f"onednn/fp32_direct/{layer}"), ours),
                with_ratio(time_us(results, f"onnxruntime/fp32/{layer}"), ours),
            ]
        )
    return table([f"float layer, {tier}, us", "ours", "share of peak", "oneDNN fp32 direct", "onnxruntime"], rows)


def copies(results: Results) -> str:
    """What is bound by memory."""
    tier = top_tier(results)
    rows = [
        [name.replace(f"/{tier}", ""), number(time_us(results, name)), number(fields["share_of_copy"]["median"])]
        for name, fields in results.items()
        if f"/{tier}/" in name and "share_of_copy" in fields
    ]
    return table([f"{tier}, us", "ours", "share of a copy"], rows)


def chains(results: Results) -> str:
    """Four layers in a row, full path."""
    rows, tier = [], top_tier(results)
    for name in (n for n in results if n.startswith(f"chain/{tier}/")):
        chain = name.split("/", 2)[2]
        ours, peer = time_us(results, name), f"openvino_binary/{chain}"
        rows.append(
            [
                chain,
                number(ours),
                with_ratio(get(results, peer, "best_us"), ours),
                with_ratio(get(results, peer, "cpu_us"), ours),
                number(time_us(results, f"chain/avx2/{chain}")),
            ]
        )
    return table(["four layers, us", tier, "OpenVINO, nodes", "OpenVINO, request", "avx2"], rows)


def _network_row(results: Results, text: str, prefix: str, ours: str, file: str) -> List[str]:
    def at(threads: int, start: str = prefix) -> Optional[float]:
        return time_us(results, f"{start}/480x640/threads{threads}")

    one = f"{prefix}/480x640/threads1"
    load, first = get(results, one, "load_us"), get(results, one, "first_us")
    resident, size = get(results, one, "rss_bytes", statistic="median"), get(results, f"file/{file}", "file_bytes")
    return [
        text,
        with_ratio(at(1), at(1, ours), 1e3),
        with_ratio(at(2), at(2, ours), 1e3),
        number(None if load is None or first is None else (load + first) / 1e3),
        number(resident and resident / 1e6),
        number(size and size / 1e6),
    ]


def networks(results: Results, width: str) -> str:
    """One width: ours, the same binary network in OpenVINO, and the full-precision twin in every engine."""
    binary, twin, tier = f"bi_mtdp_{width}", f"mti_net_{width}", top_tier(results)
    ours = f"network/{tier}/{binary}"
    rows = [
        (f"binary, bimtdp {tier}", ours, f"{binary}.safetensors"),
        *([("binary, bimtdp avx2", f"network/avx2/{binary}", f"{binary}.safetensors")] if tier != "avx2" else []),
        ("binary, OpenVINO", f"openvino_binary/{binary}", ""),
        ("fp32, bimtdp", f"network/{tier}/{twin}", f"{twin}.safetensors"),
        ("fp32, onnxruntime", f"onnxruntime/{twin}.fp32", f"{twin}.fp32.onnx"),
        ("fp32, OpenVINO", f"openvino/{twin}.fp32", f"{twin}.fp32.onnx"),
        ("bf16, OpenVINO's default", f"openvino_default/{twin}.fp32", f"{twin}.fp32.onnx"),
        ("int8, onnxruntime", f"onnxruntime/{twin}.int8", f"{twin}.int8.onnx"),
        ("int8, OpenVINO", f"openvino/{twin}.int8", f"{twin}.int8.onnx"),
    ]
    return table(
        [f"{width.upper()}, 480x640, ms", "1 thread", "2 threads", "load + first run", "resident, MB", "file, MB"],
        [
            _network_row(results, text, prefix, ours, file)
            for text, prefix, file in rows
            if any(name.startswith(f"{prefix}/480x640") for name in results)
        ],
    )


def backbones(results: Results) -> str:
    """Bi-MTDP-C against its full-precision twin, one thread."""
    rows, tier = [], top_tier(results)
    for backbone in ("lite0", "w18"):
        twin = f"mti_net_{backbone}"
        times = [
            time_us(results, f"{p}/480x640/threads1")
            for p in (f"network/{tier}/{twin}", f"onnxruntime/{twin}.fp32", f"openvino/{twin}.fp32")
        ]
        for scope in ("mmd", "decoder"):
            ours = time_us(results, f"network/{tier}/bi_mtdp_c_{backbone}_{scope}/480x640/threads1")
            if ours is not None:
                rows.append([f"{backbone}, {scope}", number(ours / 1e3), *(with_ratio(t, ours, 1e3) for t in times)])
    return table(["Bi-MTDP-C, 480x640, ms, 1 thread", "ours", "full precision, ours", "fp32, onnxruntime", "fp32, OpenVINO"], rows)


def summary(stored: Mapping) -> str:
    """Whole networks on one thread, beside the same network in OpenVINO and the faster engine on the full-precision twin."""
    results, tier, rows = stored["results"], top_tier(stored["results"]), []

    def least(*prefixes: str) -> Optional[float]:
        times = [time_us(results, f"{prefix}/480x640/threads1") for prefix in prefixes]
        return min((t for t in times if t is not None), default=None)

    for text, name, twin in SUMMARY:
        ours = least(f"network/{tier}/{name}")
        if ours is not None:
            peers = (
                least(f"openvino_binary/{name}"),
                *(least(f"onnxruntime/{twin}.{kind}", f"openvino/{twin}.{kind}") for kind in ("int8", "fp32")),
                least(f"network/{tier}/{twin}"),
            )
            rows.append([text, number(ours / 1e3), *(with_ratio(peer, ours, 1e3) for peer in peers)])
    return table(
        [
            f"{stored['environment']['cpu']}, {tier}, 1 thread, ms",
            "bimtdp",
            "OpenVINO, binary",
            "twin, int8",
            "twin, fp32",
            "twin, fp32, bimtdp",
        ],
        rows,
    )


def bounds(results: Results) -> str:
    """Time over the sum of the operations' bounds, one thread."""
    rows, tier = [], top_tier(results)
    for name in results:
        bound, time = get(results, name, "bound_us"), time_us(results, name)
        if name.startswith(f"network/{tier}/") and name.endswith("/480x640/threads1") and bound and time:
            rows.append([name.split("/")[2], number(time / 1e3), number(bound / 1e3), number(time / bound)])
    return table(["network, ms, 1 thread", "time", "sum of bounds", "ratio"], rows)


def environment(stored: Mapping) -> str:
    e = stored["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(e["versions"].items()))
    return f"{e['cpu']}, {e['cpus']} cores; {' '.join(e['compiler'])}; Linux {e['kernel']}; {packages}; commit {e['commit']}."


def all_tables(stored: Mapping) -> Dict[str, str]:
    """Marker's name -> Markdown, of the tables that have rows."""
    results = stored["results"]
    made = {
        "environment": environment(stored),
        "kernels": kernels(results),
        "kernels_avx2": kernels_avx2(results),
        "float_layers": float_layers(results),
        "copies": copies(results),
        "chains": chains(results),
        "network_w18": networks(results, "w18"),
        "network_w48": networks(results, "w48"),
        "bi_mtdp_c": backbones(results),
        "bounds": bounds(results),
        "summary": summary(stored),
    }
    return {name: text for name, text in made.items() if name == "environment" or text.count("\n") > 1}
