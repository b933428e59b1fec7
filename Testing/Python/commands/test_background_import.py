"""Imports that go on while the program reads files."""

import sys
import time

import pytest

from myops.commands.background_import import import_in_background


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """A module that takes half a second to import, then fails if its text says so."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(last_line):
        text = f"import time\ntime.sleep(0.5)\n{last_line}\n"
        (tmp_path / "slow_part.py").write_text(text, "utf-8")
        return "slow_part"

    yield write
    sys.modules.pop("slow_part", None)


def test_the_program_goes_on_while_a_module_is_imported_and_its_own_import_waits(slow_module):
    start = time.monotonic()
    import_in_background(slow_module("answer = 42"))
    assert time.monotonic() - start < 0.4
    import slow_part

    assert slow_part.answer == 42
    assert time.monotonic() - start >= 0.5


def test_what_cannot_be_imported_is_raised_where_it_is_needed_and_nowhere_else(slow_module, capfd):
    thread = import_in_background(slow_module("raise RuntimeError('damaged')"))
    thread.join()
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError, match="damaged"):
        import slow_part  # noqa: F401


def test_the_interpreter_waits_for_the_import_before_it_ends(slow_module):
    assert not import_in_background(slow_module("")).daemon
