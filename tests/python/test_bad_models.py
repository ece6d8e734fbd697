# SPDX-License-Identifier: Apache-2.0
"""Two readers of model files, in C++ and in Python, agree on what is a model: on the cases of ``make_bad_models.py``, on every
field of the small model set to other values, on cut files and on flipped bits."""

import copy
import json
import struct
from typing import Any, Dict, Iterator, Tuple

import make_bad_models
import pytest
import xxhash
from conftest import REPOSITORY
from strict_reader import Refused, check, container

from bimtdp_torch.export.errors import ModelFileError
from bimtdp_torch.export.model_file import check_texts, read_model_file

DATA = REPOSITORY / "tests" / "data"


def accepts(content: bytes) -> bool:
    try:
        check(content)
    except Refused:
        return False
    return True


@pytest.fixture(scope="module")
def golden() -> Tuple[Dict[str, str], Dict[str, str]]:
    """What the C++ reader says: messages by case, and letters by edited field."""
    messages, letters = {}, {}
    for line in (DATA / "bad_models.txt").read_text().splitlines():
        name, text, *verdicts = line.split("\t")
        if name == "edit":
            letters[text] = verdicts[0]
        else:
            messages[name] = text
    return messages, letters


def test_the_corpus_is_what_its_script_makes():
    assert (DATA / "bad_models.safetensors").read_bytes() == make_bad_models.corpus()


def test_both_readers_agree_on_every_case(golden):
    messages, _ = golden
    cases = make_bad_models.all_cases()
    assert list(messages) == list(cases) and sum(message != "accepted" for message in messages.values()) >= 120
    wrong = [name for name, content in cases.items() if accepts(content) != (messages[name] == "accepted")]
    assert not wrong


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Pointers to all values, in the order of sorted keys."""
    yield at
    items = sorted(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, f"{at}/{key}")


def edited(model: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    made = copy.deepcopy(model)
    *parents, last = path.split("/")[1:]
    at = made
    for key in parents:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    return made


def test_both_readers_agree_on_every_edited_field(golden):
    _, letters = golden
    base = make_bad_models.all_cases()["accepted.base"]
    length = struct.unpack("<Q", base[:8])[0]
    header, data = json.loads(base[8 : 8 + length]), base[8 + length :]
    model = json.loads(header["__metadata__"]["bimtdp"])
    assert list(letters) == list(paths(model))
    wrong = []
    for path, verdicts in letters.items():
        for seed, letter in zip(make_bad_models.SEEDS, verdicts):
            text = json.dumps(edited(model, path, seed))
            header["__metadata__"] = {"bimtdp": text, "bimtdp_hash": xxhash.xxh3_128_hexdigest(text.encode())}
            start = json.dumps(header).encode()
            if accepts(struct.pack("<Q", len(start)) + start + data) != (letter == "a"):
                wrong.append((path, seed, letter))
    assert not wrong
    assert any("a" in verdicts for verdicts in letters.values())


def test_cut_and_flipped_files_are_refused():
    base = make_bad_models.all_cases()["accepted.base"]
    assert accepts(base)
    assert not any(accepts(base[:length]) for length in range(len(base)))
    for bit in range(0, 8 * len(base), 3):  # the C++ test flips all
        flipped = bytearray(base)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not accepts(bytes(flipped)), bit


def test_the_converter_allows_the_texts_that_the_readers_allow(golden):
    """``check_texts`` of the writer against the cases that change a name or a sentence."""
    messages, _ = golden
    texts = ("name.", "task.", "node_name.", "licence.", "producer.", "provenance.", "outputs.0.class_names", "accepted.")
    seen = 0
    for name, content in make_bad_models.all_cases().items():
        if not name.startswith(texts):
            continue
        description = json.loads(container(content)[0]["bimtdp"])
        if messages[name] == "accepted":
            check_texts(description)
        else:
            seen += 1
            with pytest.raises(ModelFileError):
                check_texts(description)
    assert seen > 50


def test_a_damaged_text_is_refused_in_python(tmp_path):
    base = make_bad_models.all_cases()["accepted.base"]
    path = tmp_path / "model.safetensors"
    path.write_bytes(base)
    assert read_model_file(path)[0]["name"] == "small"
    path.write_bytes(base.replace(b"Apache-2.0", b"Apache-3.0"))
    with pytest.raises(ModelFileError, match="bimtdp_hash: the text is damaged"):
        read_model_file(path)
