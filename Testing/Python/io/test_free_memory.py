"""Work that does not fit into the memory is refused before it begins."""

import pytest

from myops.errors import InputError
from myops.io import free_memory
from myops.io.free_memory import available_bytes, check_memory


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write what the system says; what is left out is not there."""

    def write(meminfo="", limit="", used=""):
        for name, text in (("MEMINFO", meminfo), ("CGROUP_LIMIT", limit), ("CGROUP_USED", used)):
            path = tmp_path / name
            if text:
                path.write_text(text, "utf-8")
            monkeypatch.setattr(free_memory, name, path)

    return write


def test_free_memory_is_what_the_system_calls_available(files):
    files("MemTotal:       8000 kB\nMemFree:        1000 kB\nMemAvailable:   3000 kB\n")
    assert available_bytes() == 3000 * 1024


def test_a_container_has_no_more_than_its_limit(files):
    files("MemAvailable: 3000 kB\n", limit="2000000\n", used="500000\n")
    assert available_bytes() == 1_500_000


def test_a_container_without_a_limit_has_the_machines_memory(files):
    files("MemAvailable: 3000 kB\n", limit="max\n", used="500000\n")
    assert available_bytes() == 3000 * 1024


def test_where_nobody_says_how_much_is_free_nothing_is_refused(files):
    files()
    assert available_bytes() is None
    check_memory(1e15, "segment anything")


def test_a_refusal_says_what_is_needed_what_is_there_and_what_to_do(files):
    files("MemAvailable: 1000000 kB\n")
    check_memory(1.0e9, "segment 12 million voxels")
    with pytest.raises(InputError, match=r"expected 4\.0 GB of free memory to segment 50 million "
                       r"voxels, found 1\.0 GB; crop the images"):  # fmt: skip
        check_memory(4e9, "segment 50 million voxels")
