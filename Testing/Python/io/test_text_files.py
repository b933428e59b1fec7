"""Text and JSON in every form that Windows gives UTF-8, and one line where it is something else."""

from __future__ import annotations

import codecs
import json

import pytest

from myops.errors import InputError
from myops.io.text_files import read_json, read_text, write_text
from myops.patients.provenance import read_inputs
from myops.refine.record import read_record
from myops.weights.files import read_manifest
from myops.weights.store import stored_models
from myops.worklist.casefile import CaseFile, read_case_file, write_case_file

VALUES = {"name": "Jürgen 山田", "list": [1, None, True]}
FORMS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 of Notepad": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, other byte order": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("form", FORMS)
def test_json_is_read_in_every_encoding_that_json_may_have(tmp_path, form):
    path = tmp_path / "a.json"
    path.write_bytes(FORMS[form](json.dumps(VALUES, ensure_ascii=False)))
    assert read_json(path) == VALUES


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"name": "Jürgen"}'.encode("latin-1"), "UTF-8, found another encoding"),
        (b"\x93NUMPY\x01\x00", "UTF-8, found another encoding"),
        (codecs.BOM_UTF16_LE + b"{", "UTF-8, found another encoding"),
        (b"", "found damaged text"),
        (b"{", "found damaged text"),
        (b"[" * 100_000, "found damaged text"),
        (codecs.BOM_UTF8, "found damaged text"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line_that_names_the_file(tmp_path, content, found):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=found) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: expected JSON")
    assert "\n" not in str(caught.value)


def test_text_is_read_with_a_mark_and_in_any_line_ending(tmp_path):
    path = tmp_path / "a.csv"
    for content in (
        codecs.BOM_UTF8 + "a;ü\r\nb\rc\n".encode(),
        codecs.BOM_UTF16_LE + "a;ü\r\nb\rc\n".encode("utf-16-le"),
    ):
        path.write_bytes(content)
        assert read_text(path) == "a;ü\nb\nc\n"
    for content in ("a;ü".encode("latin-1"), "a;b".encode("utf-16-le"), b"\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^a\.csv: expected text in UTF-8"):
            read_text(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"^a\.csv: expected text in UTF-8"):
        read_text(path)


def test_text_that_no_encoding_takes_is_written_all_the_same(tmp_path):
    path = write_text(tmp_path / "a.txt", "M\udcfcller −")
    assert path.read_bytes() == b"M\\udcfcller \xe2\x88\x92"


def with_mark(path):
    path.write_bytes(codecs.BOM_UTF16_LE + path.read_text("utf-8").encode("utf-16-le"))
    return path


def test_every_json_that_a_user_may_edit_is_read_after_notepad_saved_it(tmp_path, monkeypatch):
    prompts = tmp_path / "prompts.json"
    prompts.write_text('{"steps": []}', "utf-8")
    assert read_record(with_mark(prompts)).steps == ()

    inputs = {"images": {}, "case": "Jürgen", "frame": None, "spacing_mm": None, "model": "default"}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs), "utf-8")
    with_mark(tmp_path / "inputs.json")
    assert read_inputs(tmp_path).name == "Jürgen"

    case = write_case_file(tmp_path, CaseFile("P 1", "AB"))
    assert read_case_file(with_mark(case)).case == "P 1"

    entry = {"name": "assn", "file": "assn.safetensors", "sha256": "0"}
    (tmp_path / "manifest.json").write_text(json.dumps({"networks": [entry]}), "utf-8")
    with_mark(tmp_path / "manifest.json")
    assert set(read_manifest(tmp_path)) == {"assn"}

    monkeypatch.setenv("MYOPS_MODELS", str(tmp_path))
    (tmp_path / "models.json").write_text('{"models": []}', "utf-8")
    with_mark(tmp_path / "models.json")
    assert stored_models() == {}
