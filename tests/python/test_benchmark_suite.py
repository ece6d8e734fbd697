# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark suite that measure nothing: rounds, comparison, tables, the schema of results."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bimtdp_bench import jobs, results, tables
from bimtdp_torch.export.model_file import write_safetensors

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "peers"))
import measuring
import model_file

LAYER = results.REFERENCE_LAYER
BINARY = f"binary_conv2d/avx512/{LAYER}"


def run_of(chain_us: float, layer_us: float = 1000.0, share: float = 0.5) -> results.Results:
    """One reference layer and one chain."""
    return results.collate(
        [
            [
                {"name": BINARY, "best_us": layer_us, "share_of_peak": share},
                {"name": "chain/avx512/bn_sign/64/56x56", "cpu_us": chain_us},
            ]
        ]
    )


def test_collate_takes_minimum_and_median_of_each_field():
    rounds = [[{"name": "a", "best_us": t, "iterations": 9}] for t in (5.0, 1.0, 3.0)]
    assert results.collate(rounds) == {"a": {"best_us": {"min": 1.0, "median": 3.0}}}


def test_collate_leaves_out_errors():
    assert results.collate([[{"name": "a", "error": "no groups"}]]) == {}


def test_google_benchmark_output_without_errors_and_suffixes():
    text = json.dumps(
        {
            "benchmarks": [
                {"name": "network/avx512/w18/480x640/threads1/process_time/real_time", "real_time": 7.0, "cpu_us": 3.0, "macs": 8},
                {"name": "onednn/int8_winograd/1x1", "error_occurred": True, "error_message": "none", "best_us": 0.0},
            ]
        }
    )
    assert results.from_google_benchmark(text) == [{"name": "network/avx512/w18/480x640/threads1", "cpu_us": 3.0, "macs": 8}]


def test_time_of_several_threads_is_the_clock():
    fields = {"wall_us": {"min": 1.0, "median": 1.0}, "cpu_us": {"min": 2.0, "median": 2.0}}
    found = {"network/avx512/w18/480x640/threads1": fields, "network/avx512/w18/480x640/threads2": fields}
    assert [results.time_us(found, name) for name in found] == [2.0, 1.0]


def test_slower_names_what_became_slower():
    assert results.slower(run_of(100.0), run_of(114.0)) == []
    lines = results.slower(run_of(100.0), run_of(130.0))
    assert len(lines) == 1 and lines[0].startswith("chain/avx512/bn_sign/64/56x56: 1.30x")


def test_two_builds_are_compared_by_their_fastest_runs():
    name = "chain/avx512/bn_sign/64/56x56"
    assert results.slower_times(run_of(100.0), run_of(102.9)) == {}
    lines = results.slower_times(run_of(100.0), run_of(104.0))
    assert list(lines) == [name] and lines[name].endswith("1.040x the time before")


def test_slower_ignores_a_slower_clock():
    # Twice the time at the same share of the peak: the machine, not the code.
    assert results.slower(run_of(100.0, 1000.0), run_of(200.0, 2000.0)) == []


def test_slower_sees_a_share_of_peak_that_fell():
    lines = results.slower(run_of(100.0, 1000.0, 0.9), run_of(100.0, 1500.0, 0.6))
    assert [line.split(":")[0] for line in lines] == [BINARY]


def test_what_is_bound_by_memory_is_compared_with_a_copy():
    stored, fresh = (
        results.collate([[{"name": "softmax/avx512/60x80x144/4", "best_us": t, "share_of_copy": share}]])
        for t, share in ((100.0, 0.8), (150.0, 0.8))
    )
    assert results.slower(stored, fresh) == []
    fresh["softmax/avx512/60x80x144/4"]["share_of_copy"]["median"] = 0.5
    assert results.slower(stored, fresh) == ["softmax/avx512/60x80x144/4: 1.60x the stored time"]


def test_merge_keeps_the_better_of_two_runs():
    merged = results.merge(run_of(100.0, 900.0, 0.6), run_of(90.0, 1000.0, 0.5))
    assert merged["chain/avx512/bn_sign/64/56x56"]["cpu_us"]["min"] == 90.0
    assert merged[BINARY]["best_us"]["min"] == 900.0 and merged[BINARY]["share_of_peak"]["median"] == 0.6


def test_results_survive_the_file(tmp_path):
    path = tmp_path / "results" / "cpu.json"
    results.save(path, {"cpu": "a CPU"}, run_of(123.456))
    stored = results.load(path)
    assert stored["environment"] == {"cpu": "a CPU"} and stored["results"] == results.rounded(run_of(123.456))
    path.write_text('{"schema": 0}')
    with pytest.raises(ValueError, match="schema 0, expected 1"):
        results.load(path)


def test_insert_writes_between_the_markers_alone(tmp_path):
    document = tmp_path / "README.md"
    document.write_text("before\n<!-- benchmark:chains -->\nold\n<!-- /benchmark:chains -->\nafter\n")
    assert tables.insert(document, {"chains": "new", "kernels": "nowhere"}) == ["chains"]
    text = "before\n<!-- benchmark:chains -->\nnew\n<!-- /benchmark:chains -->\nafter\n"
    assert document.read_text() == text
    tables.insert(document, {"chains": "new"})
    assert document.read_text() == text


def test_kernel_table_takes_the_faster_algorithm_of_a_peer():
    found = run_of(1.0)
    found.update(
        results.collate(
            [[{"name": f"onednn/{kind}/{LAYER}", "best_us": t} for kind, t in (("fp32_direct", 9000.0), ("fp32_winograd", 7000.0))]]
        )
    )
    assert tables.kernels(found).splitlines()[2] == ("| 3x3 256->256, 56x56 | 1000 | 0.50 | 7000 (7.00x) |")


def test_tables_without_figures_are_left_out():
    stored = {
        "environment": {"cpu": "a CPU", "cpus": 2, "compiler": [], "kernel": "6", "versions": {}, "commit": "c"},
        "results": run_of(1.0),
    }
    assert set(tables.all_tables(stored)) == {"environment", "kernels", "chains"}


def test_documents_have_the_tables_of_a_stored_run(tmp_path):
    """What the documents say is what one stored run says; every table has its place."""
    copies = [tmp_path / str(i) for i in range(len(tables.DOCUMENTS))]
    texts = [document.read_text() for document in tables.DOCUMENTS]

    def as_of(path):
        made = tables.all_tables(results.load(path))
        for copy, text in zip(copies, texts):
            copy.write_text(text)
        placed = [name for copy in copies for name in tables.insert(copy, made)]
        return sorted(placed) == sorted(made) and [copy.read_text() for copy in copies] == texts

    assert any(as_of(path) for path in (jobs.REPOSITORY / "benchmarks" / "results").glob("*.json"))


def test_summary_takes_the_faster_engine_of_a_kind():
    times = {
        "network/avx512/bi_mtdp_w18": 100e3,
        "openvino_binary/bi_mtdp_w18": 200e3,
        "onnxruntime/mti_net_w18.fp32": 900e3,
        "openvino/mti_net_w18.fp32": 800e3,
        "onnxruntime/mti_net_w18.int8": 300e3,
    }
    found = results.collate([[{"name": f"{name}/480x640/threads1", "cpu_us": time} for name, time in times.items()]])
    assert tables.summary({"environment": {"cpu": "a CPU"}, "results": found}).splitlines() == [
        "| a CPU, avx512, 1 thread, ms | bimtdp | OpenVINO, binary | twin, int8 | twin, fp32 |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| Bi-MTDP, HRNet-W18 | 100 | 200 (2.00x) | 300 (3.00x) | 800 (8.00x) |",
    ]


def test_names_of_layers():
    layer = measuring.parse_layer("3x3/96x48/120x160/stride2/dilation4")
    assert (layer.kernel, layer.channels, layer.outputs, layer.height, layer.width) == (3, 96, 48, 120, 160)
    assert (layer.stride, layer.dilation, layer.groups, layer.padding) == (2, 4, 1, 4)
    assert measuring.parse_layer("5x5/144x144/60x80/depthwise").groups == 144
    assert measuring.parse_layer("3x3/8x8/4x4/groups4").groups == 4
    with pytest.raises(ValueError, match="no layer"):
        measuring.parse_layer("3x5/8x8/4x4")


def test_measure_repeats_and_reports_microseconds():
    calls = []
    found = measuring.measure(lambda: calls.append(1), seconds=0.0, least=4)
    assert len(calls) == 5  # one to warm up
    assert 0 <= found["wall_us"] <= found["wall_median_us"] < 1e5 and found["cpu_us"] <= found["cpu_median_us"]


def test_model_files_are_read(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "h": np.ones((1, 2), np.float16),
        "s": np.array([[[[0b101, 0b1]]]], np.uint8),
    }
    write_safetensors(path, tensors, {"bimtdp": json.dumps({"nodes": [], "outputs": []})})
    file = model_file.ModelFile(path)
    assert (file.floats("w") == tensors["w"]).all() and file.floats("h").dtype == np.float32 and file.floats(None) is None
    assert file.signs("s", 9)[0, 0, 0].tolist() == [True, False, True] + 5 * [False] + [True]


def test_a_column_without_numbers_is_left_out():
    assert tables.table(["layer", "a", "b"], [["x", "-", "1"], ["y", "-", "-"]]).splitlines() == [
        "| layer | b |",
        "| --- | ---: |",
        "| x | 1 |",
        "| y | - |",
    ]
