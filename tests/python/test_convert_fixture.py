# SPDX-License-Identifier: Apache-2.0
"""A checkpoint in the format of the public MTI-Net code, with the outputs that this code computed for one input.

The files are large and not part of the repository: BIMTDP_FIXTURES names their folder; without them the tests are
skipped, and test_convert.py converts a checkpoint of the same format that it makes itself.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from convert_tools import REPOSITORY

from bimtdp_torch.export import Options, convert
from bimtdp_torch.export.pipeline import Conversion
from bimtdp_torch.export.verify import build_verify_model, compare_with_pytorch
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.sources import load_source
from bimtdp_torch.training.initialisation import initialise_from

FOLDER = Path(os.environ.get("BIMTDP_FIXTURES", REPOSITORY.parent / "shared" / "fixtures")) / "mti_net_w18_nyud2"
TIERS = ("baseline", "sse42", "avx2", "avx512")

pytestmark = pytest.mark.skipif(not (FOLDER / "io.npz").is_file(), reason="no fixtures here (see BIMTDP_FIXTURES)")


@pytest.fixture(scope="module")
def source():
    return load_source(FOLDER / "best_model.pth.tar", "mti_net_w18_nyud2")


def test_every_tier_verifies(source, tmp_path):
    model = tmp_path / "fixture.safetensors"
    result = convert(source, model, Options(quiet=True, self_test_size=(64, 96)))
    assert result.report["failures"] == 0 and result.largest() <= 1e-5
    for tier in TIERS:
        done = subprocess.run([build_verify_model(), model], capture_output=True, text=True, env={**os.environ, "BIMTDP_ISA": tier})
        if "BIMTDP_ISA" in done.stderr:
            continue  # not a tier of this CPU
        assert done.returncode == 0 and f"identical on {tier}" in done.stdout, done.stderr


def test_outputs_of_the_public_code(source, tmp_path):
    """The engine, running freely on the recorded input, gives the recorded outputs within 1e-4."""
    expected = np.load(FOLDER / "io.npz")
    conversion = Conversion(source, tmp_path / "fixture.safetensors", Options(quiet=True))
    conversion.build(torch.from_numpy(expected["input"]))
    conversion.write(conversion.output, {"unchecked": True})
    for output in conversion.outputs:
        output.node.value = torch.from_numpy(expected[output.task])
    report = compare_with_pytorch(build_verify_model(), conversion.output, conversion.nodes, quiet=True)
    differences = {output["task"]: output["free"]["max_difference"] for output in report["outputs"]}
    assert set(differences) == {"semseg", "depth"} and max(differences.values()) <= 1e-4, differences


def test_it_starts_the_variants(source):
    """Everything but what the float network does not have comes from the checkpoint."""
    state = source.network.state_dict()
    pairwise = {"gate_source": "source", "message_weights": "pairwise"}
    for options, unused in (
        (dict(name="bi_mtdp_c", attention=pairwise), 0),
        (dict(name="bi_mtdp_f", attention=pairwise), 2),
        (dict(name="multi_task"), len(state) - 882),
    ):
        network = build_network({"backbone": "hrnet_w18", "dataset": "nyud2", **options})
        result = initialise_from(network, state)
        assert not result.misfits and len(result.ignored) == unused, "the heads' hidden biases, the decoder"
        assert all(torch.equal(network.state_dict()[own], state[name]) for own, name in result.used.items())
