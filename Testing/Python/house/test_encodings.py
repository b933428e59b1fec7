"""Every file and every process is read and written in a named encoding, not in the machine's own.

Without a name Python takes the locale's: UTF-8 here, Windows-1252 or ASCII on the next machine.
ruff's rule (PLW1514) sees such calls only where it knows the type.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted([*(ROOT / "MyoPSSegmenter").rglob("*.py"), *(ROOT / "Testing").rglob("*.py")])
PROCESSES = {"run", "Popen", "check_output", "check_call", "call"}
FILES = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "TextIOWrapper", "fdopen"}


def unnamed(source: str) -> list[int]:
    """Lines of the calls that leave the encoding to the machine."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and leaves_open(node)
    ]


def leaves_open(call: ast.Call) -> bool:
    function = call.func
    is_method = isinstance(function, ast.Attribute)
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or None in given:
        return False
    if name == "read_text":
        return not call.args
    if name == "write_text":
        # Ours, in text_files, is a function and names it inside; Path's has a text and an encoding.
        return is_method and len(call.args) < 2
    if name in PROCESSES:
        return any(is_true(given.get(word)) for word in ("text", "universal_newlines"))
    if name in FILES:
        mode = given.get("mode", call.args[1] if len(call.args) > 1 else None)
        return name == "TextIOWrapper" or (mode is not None and "b" not in ast.unparse(mode))
    if name == "open":
        return opens_text(call, is_method, given)
    return False


def opens_text(call: ast.Call, is_method: bool, given: dict[str | None, ast.expr]) -> bool:
    """Whether `open(path, mode)` or `path.open(mode)` opens a text; other things open, too."""
    place = 0 if is_method else 1
    mode = given.get("mode", call.args[place] if len(call.args) > place else ast.Constant("r"))
    if is_method and call.args and not is_mode(mode):
        return False  # a case of the work list, a picture, a member of an archive
    return not is_mode(mode) or "b" not in str(getattr(mode, "value", ""))


def is_mode(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and re.fullmatch("[rwaxbt+]{1,4}", text) is not None


def is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_process_names_its_encoding(source):
    lines = unnamed(source.read_text("utf-8"))
    assert lines == [], f"{source.relative_to(ROOT)}: encoding not named in lines {lines}"


@pytest.mark.parametrize(
    "call",
    [
        "open(p)",
        "open(p, 'w')",
        "open(p, mode=m)",
        "p.open()",
        "p.open('a+')",
        "p.read_text()",
        "p.read_text(errors='replace')",
        "p.write_text(t)",
        "subprocess.run(c, text=True)",
        "Popen(c, universal_newlines=True)",
        "tempfile.NamedTemporaryFile(mode='w')",
        "io.TextIOWrapper(b)",
    ],
)
def test_the_search_finds(call):
    assert unnamed(call) == [1]


@pytest.mark.parametrize(
    "call",
    [
        "open(p, 'rb')",
        "open(p, encoding='utf-8')",
        "open(p, **more)",
        "p.open('rb')",
        "p.open('w', encoding='utf-8')",
        "study.open(0)",
        "Image.open(p)",
        "gzip.open(p)",
        "archive.open(name, 'w')",
        "p.read_text('utf-8')",
        "p.write_text(t, 'utf-8')",
        "write_text(p, t)",
        "subprocess.run(c, capture_output=True)",
        "subprocess.run(c, encoding='utf-8')",
        "tempfile.TemporaryFile()",
    ],
)
def test_the_search_leaves_alone(call):
    assert unnamed(call) == []
