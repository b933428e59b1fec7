"""Names from outside as one line of letters, and messages that hide nothing."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myops.errors import InputError
from myops.io.readable import encoded, readable, visible


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller, Jürgen", "Müller, Jürgen"),
        ("Mu\u0308ller", "Müller"),  # the two ways that Unicode has to write it
        (" P 1\r\nline\ttwo\u2028three ", "P 1 line two three"),
        ("A\x1b[31mB\x00\x07", "A[31mB"),
        ("\u202eevil\u202c \u200fשלום\u2066", "evil שלום"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its joiner
        (os.fsdecode(b"M\xfcller \x80"), "Müller €"),  # Latin-1 and Windows-1252
        ("\ud800x", "\ufffdx"),
        ("\u200f\x00\n", ""),
        ("山田 太郎", "山田 太郎"),
    ],
)
def test_a_name_becomes_one_line_of_letters(name, shown):
    assert readable(name) == shown


@given(st.text(max_size=60))
def test_every_text_can_be_written_and_stays_the_same_when_read_again(text):
    shown = readable(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert readable(shown) == shown


def test_a_message_shows_what_it_cannot_print():
    name = os.fsdecode(b"M\xfcller.nii")
    assert visible(f"{name}\x1b[2J\u202e") == "M\\xfcller.nii\\x1b[2J\\u202e"
    error = InputError(f"{name}: expected\nan image")
    assert str(error) == "M\\xfcller.nii: expected an image"


def test_json_keeps_a_path_whose_bytes_are_not_utf8():
    path = os.fsdecode(b"/disk/M\xfcller/\xff_DE.nii")
    content = encoded(json.dumps({"path": path, "name": "Jürgen"}, ensure_ascii=False))
    assert "Jürgen" in content.decode("utf-8")
    assert os.fsencode(json.loads(content)["path"]) == b"/disk/M\xfcller/\xff_DE.nii"
