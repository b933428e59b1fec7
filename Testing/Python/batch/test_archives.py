"""Archives: patients come out, and nothing else gets anywhere."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from myops.batch import archives
from myops.batch.archives import archives_in, unpack
from myops.errors import InputError


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def rolled(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = ""
) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.linkname = kind, size, link
    return found


@pytest.mark.parametrize("pack", ["zip", "tar.gz"])
def test_files_come_out_with_their_folders(tmp_path: Path, pack: str) -> None:
    path = tmp_path / f"a.{pack}"
    if pack == "zip":
        zipped(path, {"p1/scan_DE.nii.gz": b"x" * 5})
    else:
        rolled(path, member("p1", tarfile.DIRTYPE), member("p1/scan_DE.nii.gz", size=5))
    folder = unpack(path, tmp_path / "out" / "a")
    assert (folder / "p1" / "scan_DE.nii.gz").read_bytes() == b"xxxxx"
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "C:\\evil.txt", "..\\evil.txt"]
)
@pytest.mark.parametrize("pack", ["zip", "tar.gz"])
def test_a_path_that_leads_outside_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, pack: str
) -> None:
    path = tmp_path / f"a.{pack}"
    if pack == "zip":
        zipped(path, {"good.txt": b"good", name: b"evil"})
    else:
        rolled(path, member("good.txt", size=4), member(name, size=4))
    with pytest.raises(InputError, match="a path that leads outside"):
        unpack(path, tmp_path / "out" / "a")
    assert sorted(one.name for one in tmp_path.rglob("*")) == [f"a.{pack}", "out"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = rolled(tmp_path / "a.tgz", member("a", kind, link="/etc/passwd"))
    with pytest.raises(InputError, match="found a link or device"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="found a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_bomb_is_stopped_while_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 10_000)
    monkeypatch.setattr(archives, "CHUNK", 1000)
    # 10 MB of zeros pack to about 10 kB: a thousand times is more than 200.
    path = zipped(tmp_path / "a.zip", {"zeros.nii": bytes(10_000_000)})
    assert path.stat().st_size * archives.MAX_RATIO < 10_000_000
    with pytest.raises(InputError, match="found more than .* MB unpacked"):
        unpack(path, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["a.zip"]


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    path = zipped(tmp_path / "a.zip", dict.fromkeys("abc", b"x"))
    with pytest.raises(InputError, match="more than 2 files"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(InputError, match=f"{name}: expected an archive that can be unpacked"):
        unpack(tmp_path / name, tmp_path / "out")


def test_a_truncated_archive_leaves_no_half_patient(tmp_path: Path) -> None:
    path = rolled(tmp_path / "a.tar.gz", *(member(f"{k}.dcm", size=90_000) for k in range(3)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="damaged"):
        unpack(path, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_is_unpacked_already_stays_as_it_is(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": b"1"})
    folder = unpack(path, tmp_path / "out")
    (folder / "a").write_bytes(b"2")
    assert (unpack(path, tmp_path / "out") / "a").read_bytes() == b"2"


def test_compressed_images_are_no_archives(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.zip", "c.tar.gz", "d.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in archives_in(tmp_path)] == ["b.zip", "c.tar.gz"]
