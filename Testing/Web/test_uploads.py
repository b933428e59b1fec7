"""Patients from outside: what is taken, what is refused, and that nothing is half there."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason='pip install "myops-segmenter[web]"')

import SimpleITK as sitk
from aiohttp import FormData, MultipartWriter, web
from aiohttp.test_utils import TestClient, TestServer
from dicom_series import write_series

from myops.errors import InputError
from myops.patients.find import find_patients
from myops_web import uploads
from myops_web.app import READINGS, make_app
from myops_web.one_patient import lay_flat
from myops_web.settings import Settings

TOKEN = "a-token-for-tests-alone"  # noqa: S105
HERE = "/patients/AB/1"
MB = 2**20
# Names as a browser, another program, or somebody with bad intentions may send them.
NAMES = (
    *("p_LGE.nii.gz", "../../p_LGE.nii.gz", "/etc/cron.d/p_LGE.nii.gz", "..\\..\\p_LGE.nii.gz"),
    *(
        "C:\\p_LGE.nii.gz",
        "p\x00_LGE.nii.gz",
        "p\n_LGE.nii.gz",
        "\u202epng.p_LGE.nii.gz",
        ".hidden",
    ),
    *("con.nii.gz", "Müller_LGE.nii.gz", "\udcfc_LGE.nii.gz", "é" * 300 + ".nii.gz", "<b>.nii.gz"),
)


def image(path: Path, size: int = 12) -> Path:
    """Write a small image of four slices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(4 * size * size, dtype=np.int16).reshape(4, size, size)
    made = sitk.GetImageFromArray(pixels)
    made.SetSpacing((1.5, 1.5, 8.0))
    sitk.WriteImage(made, str(path))
    return path


@pytest.fixture
def came(tmp_path: Path) -> Path:
    """Give a folder with what came: one LGE."""
    folder = tmp_path / "came"
    image(folder / "p_LGE.nii.gz")
    return folder


# What is in the files


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_an_image_in_one_file_is_taken(tmp_path, suffix):
    folder = tmp_path / "came"
    image(folder / f"p_LGE{suffix}")
    (folder / "read me.txt").write_text("hello", encoding="utf-8")
    assert uploads.check_upload(folder, MB) == 1
    assert [path.name for path in folder.iterdir()] == [f"p_LGE{suffix}"]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("p_LGE.nrrd", "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\ndata file: {}\n\n"),
        ("p_LGE.nrrd", "NRRD0004\ntype: uchar\nDataFile:{}\ndimension: 3\nsizes: 4 4 4\n\n"),
        pytest.param(
            "p_LGE.nrrd",
            "NRRD0004\n" + "# far\n" * 200_000 + "type: uchar\ndata file: {}\n\n",
            id="far behind comments",
        ),
        ("p_LGE.nrrd", "NRRD0004\r\ntype: uchar\r\ndata file: {}\r\n\r\n"),
        ("p_LGE.nii", "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\ndata file: {}\n\n"),
        (
            "p_LGE.mhd",
            "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = {}\n",
        ),
        (
            "p_LGE.mha",
            "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = {}\n",
        ),
        ("p_LGE.mha", "NDims = 3\nElementDataFile : {}\nElementDataFile = LOCAL\n"),
    ],
)
def test_a_header_that_brings_a_file_of_the_server_is_refused(tmp_path, name, header):
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(64))
    folder = tmp_path / "came"
    folder.mkdir()
    (folder / name).write_text(header.format(secret), encoding="utf-8")
    with pytest.raises(InputError, match="whose voxels lie in another one"):
        uploads.check_upload(folder, MB)


@pytest.mark.parametrize("name", ["p_LGE.nii.gz", "p_LGE.nii", "p_LGE.nrrd", "IM0001.dcm", "a.mha"])
def test_a_file_that_is_no_image_is_not_kept_whatever_its_name(tmp_path, name):
    folder = tmp_path / "came"
    folder.mkdir()
    (folder / name).write_bytes(b"#!/bin/sh\necho hello\n" * 40)
    with pytest.raises(InputError, match="expected"):
        uploads.check_upload(folder, MB)


def test_a_file_that_ends_too_early_is_refused(came):
    whole = (came / "p_LGE.nii.gz").read_bytes()
    (came / "p_T2.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="p_T2.nii.gz: expected a complete image"):
        uploads.check_upload(came, MB)


def test_images_whose_sequence_nobody_knows_are_refused_with_what_to_do(tmp_path):
    folder = tmp_path / "came"
    image(folder / "scan.nii.gz")
    with pytest.raises(InputError, match=r"found scan\.nii\.gz; rename the files"):
        uploads.check_upload(folder, MB)


def packed(folder: Path, members: dict[str, bytes]) -> Path:
    """Write a .zip in an otherwise empty folder."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "patient.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return folder


def test_an_archive_is_unpacked_and_not_kept(came, tmp_path):
    content = (came / "p_LGE.nii.gz").read_bytes()
    packed_files = {"scan/p_LGE.nii.gz": content, "scan/.DS_Store": b"x"}
    folder = packed(tmp_path / "stage/new", packed_files)
    assert uploads.check_upload(folder, MB) == 1
    assert list(folder.rglob("*")) == [folder / "p_LGE.nii.gz"]


@pytest.mark.parametrize(
    ("archives", "kept"),
    [
        ([["LGE", "T2"]], ["LGE", "T2"]),
        ([["images/LGE", "images/T2"]], ["LGE", "T2"]),
        ([["p_LGE"], ["p_T2"]], ["p_LGE", "p_T2"]),
        ([["exam/LGE/image", "exam/T2/image"]], ["LGE/image", "T2/image"]),
    ],
)
def test_what_lies_in_archives_is_one_patient_with_the_name_that_was_typed(
    came, tmp_path, archives, kept
):
    content = (came / "p_LGE.nii.gz").read_bytes()
    patients = tmp_path / "patients"
    patients.mkdir()
    for patient in ("new", "newer"):
        folder = packed(tmp_path / patient / patient, {})
        for number, names in enumerate(archives):
            files = {f"{name}.nii.gz": content for name in names}
            other = packed(tmp_path / f"{patient}{number}", files)
            (other / "patient.zip").rename(folder / f"{number}.zip")
        uploads.check_upload(folder, MB)
        folder.rename(patients / patient)
    found = find_patients(patients)
    assert [patient.name for patient in found] == ["new", "newer"]
    for patient in found:
        files = [p for p in patient.folder.rglob("*") if p.is_file()]
        names = sorted(p.relative_to(patient.folder).as_posix() for p in files)
        assert names == [f"{name}.nii.gz" for name in kept]
        assert sorted(patient.sequences) == ["lge", "t2"]


def test_a_packed_examination_keeps_its_folders_and_gets_the_name_that_was_typed(tmp_path):
    exam = tmp_path / "exam"
    write_series(exam / "1", "LGE_PSIR_sax", number=1)
    write_series(exam / "2", "T2_STIR_sax", number=2)
    files = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in exam.rglob("*")
        if path.is_file()
    }
    folder = packed(tmp_path / "stage/new", files)
    assert uploads.check_upload(folder, MB) == 0
    [patient] = find_patients(folder.parent)
    assert patient.name == "new" and sorted(patient.sequences) == ["lge", "t2"]
    assert sum(path.is_file() for path in folder.rglob("*")) == len(files)


@pytest.mark.parametrize(
    "names",
    [
        ["LGE.nii.gz", "b/LGE.nii.gz"],
        ["a/LGE.nii.gz", "b/LGE.nii.gz"],
        ["7_DE.nii.gz", "7_T2.nii.gz", "8_DE.nii.gz"],
    ],
)
def test_images_of_several_patients_are_refused(came, tmp_path, names):
    content = (came / "p_LGE.nii.gz").read_bytes()
    folder = packed(tmp_path / "stage/new", dict.fromkeys(names, content))
    with pytest.raises(InputError, match=r"images of one patient, found those of 2; add each"):
        uploads.check_upload(folder, MB)


def test_no_image_of_an_archive_takes_the_place_of_another_one(tmp_path):
    for number, name in enumerate(("2-LGE.nii", "a/LGE.nii", "b/LGE.nii")):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(bytes([number]))
    lay_flat(tmp_path)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"2-LGE.nii": b"\0", "LGE.nii": b"\1", "3-LGE.nii": b"\2"}


def test_a_name_that_would_be_taken_for_a_sequence_is_refused(tmp_path):
    folder = tmp_path / "stage/LGE study"
    image(folder / "p_LGE.nii.gz")
    with pytest.raises(InputError, match="found LGE study, which reads as .* choose another name"):
        uploads.check_upload(folder, MB)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "C:\\evil", "a/../../evil"])
def test_an_archive_that_leads_out_is_refused(tmp_path, name):
    folder = packed(tmp_path / "zip", {name: b"evil"})
    with pytest.raises(InputError, match="a path that leads outside"):
        uploads.check_upload(folder, MB)
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_with_a_link_is_refused(tmp_path):
    folder = tmp_path / "zip"
    folder.mkdir()
    with zipfile.ZipFile(folder / "patient.zip", "w") as archive:
        link = zipfile.ZipInfo("p_LGE.nii.gz")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        uploads.check_upload(folder, MB)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_fills_the_disk(tmp_path):
    folder = packed(tmp_path / "zip", {"p_LGE.nii": bytes(64 * MB)})
    assert (folder / "patient.zip").stat().st_size < MB
    with pytest.raises(InputError, match="found more than 8 MB unpacked"):
        uploads.check_upload(folder, 8 * MB)
    assert [path.name for path in folder.iterdir()] == ["patient.zip"]


def test_several_archives_do_not_have_the_limit_each(tmp_path):
    folder = packed(tmp_path / "zip", {"p_LGE.nii": bytes(5 * MB)})
    second = packed(tmp_path / "second", {"p_T2.nii": bytes(5 * MB)})
    (second / "patient.zip").rename(folder / "second.zip")
    with pytest.raises(InputError, match="second.zip: .* found more than 3 MB unpacked"):
        uploads.check_upload(folder, 8 * MB)


def test_a_broken_archive_is_refused(tmp_path):
    folder = packed(tmp_path / "zip", {"p_LGE.nii.gz": b"x" * 1000})
    whole = (folder / "patient.zip").read_bytes()
    (folder / "patient.zip").write_bytes(whole[:-30])
    with pytest.raises(InputError, match="damaged or encrypted"):
        uploads.check_upload(folder, MB)


# Names


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_file_lies_in_the_uploads_own_folder(tmp_path, name):
    stage = uploads.new_stage(tmp_path, MB)
    first = stage.new_file(name)
    first.write_bytes(b"1")
    second = stage.new_file(name)
    second.write_bytes(b"2")
    assert {first.parent, second.parent} == {stage.folder} and first.read_bytes() == b"1"
    assert not first.name.startswith(".") and str(first).isprintable()


def test_no_name_that_was_sent_makes_a_file_lie_over_an_earlier_one(tmp_path):
    stage = uploads.new_stage(tmp_path, MB)
    for number, name in enumerate(("4-LGE.nii", "2-LGE.nii", "LGE.nii", "LGE.nii")):
        stage.new_file(name).write_bytes(bytes([number]))
    assert sorted(path.read_bytes() for path in stage.folder.iterdir()) == [
        b"\0",
        b"\1",
        b"\2",
        b"\3",
    ]


@pytest.mark.parametrize("name", ["taken", "TAKEN/../taken", "link", "myops-study"])
def test_a_name_that_is_there_is_not_taken_again(tmp_path, name):
    (tmp_path / "taken").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")
    results = tmp_path / "myops-study"
    if "/" in name:
        assert uploads.free_name(name, tmp_path, results).parent == tmp_path
        return
    with pytest.raises(InputError, match="is there already"):
        uploads.free_name(name, tmp_path, results)


def test_of_two_uploads_of_one_name_the_second_does_not_replace_the_first(tmp_path):
    stages = [uploads.new_stage(tmp_path, MB) for _ in range(2)]
    places = [uploads.free_name("50 % / new", tmp_path, tmp_path / "study") for _ in stages]
    uploads.finish(stages[0], places[0])
    with pytest.raises(InputError, match="is there already"):
        uploads.finish(stages[1], places[1])


# Over HTTP


class Reader:
    """Stands for a reader's process, which would list the patients again."""

    is_over = is_closing = False

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.tell = self.told.append

    async def attach(self, send: Any) -> None:
        """Nothing to show."""

    def detach(self, *_: Any) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to end."""

    wait = close


class Served(TestServer):
    """As `myops web` serves: a test server would end the work for a page that has left."""

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return web.AppRunner(self.app, **{**kwargs, "handler_cancellation": False})


def sent(folder: Path, talk: Callable[[TestClient], Awaitable[None]], **options: Any) -> Reader:
    """Run a conversation of a reader who is there; returns what their process was told."""
    reader = Reader()

    async def begin() -> None:
        folder.mkdir(exist_ok=True)
        settings = Settings(folder, folder / "myops-study", token=TOKEN, **options)
        app = make_app(settings)
        app[READINGS]._open["AB", "1"] = reader  # type: ignore[assignment]
        async with TestClient(Served(app)) as client:
            await client.get(f"/?token={TOKEN}")
            await talk(client)

    asyncio.run(begin())
    return reader


async def post(client: TestClient, form: Any, origin: str | None = None) -> tuple[int, Any]:
    here = str(client.make_url("/")).rstrip("/")
    async with client.post(HERE, data=form, headers={"Origin": origin or here}) as answer:
        return answer.status, await answer.json() if answer.status in (200, 400) else None


def form(name: str, *files: Path) -> FormData:
    made = FormData()
    made.add_field("name", name)
    for file in files:
        made.add_field("file", io.BytesIO(file.read_bytes()), filename=file.name)
    return made


def refused(folder: Path, made: Any, **options: Any) -> str:
    """What is said to an upload that is refused; nothing of it may be left."""
    found: list[Any] = []

    async def talk(client: TestClient) -> None:
        found.append(await post(client, made))

    reader = sent(folder, talk, **options)
    [(status, answer)] = found
    assert status == 400 and reader.told == []
    assert list(folder.iterdir()) == []
    assert str(folder) not in answer["refused"]
    return answer["refused"]


@pytest.mark.slow
def test_a_patient_that_is_sent_is_there_and_listed(tmp_path, came):
    folder = tmp_path / "patients"

    async def talk(client: TestClient) -> None:
        found = await post(client, form("../New one", came / "p_LGE.nii.gz"))
        assert found == (200, {"added": "%2E.%2FNew one", "leftOut": 0})

    reader = sent(folder, talk)
    assert reader.told == [{"do": "listAgain", "added": "%2E.%2FNew one"}]
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert found == ["%2E.%2FNew one", "%2E.%2FNew one/p_LGE.nii.gz"]


@pytest.mark.slow
def test_images_that_cannot_be_read_leave_nothing(tmp_path, came):
    damaged = came / "p_T2.nii.gz"
    damaged.write_bytes((came / "p_LGE.nii.gz").read_bytes()[:200])
    words = refused(tmp_path / "patients", form("new", came / "p_LGE.nii.gz", damaged))
    assert words.startswith("p_T2.nii.gz: expected a complete image")


@pytest.mark.slow
def test_a_reader_that_breaks_ends_its_own_process_alone(tmp_path, came, monkeypatch):
    import multiprocessing

    stage = SimpleNamespace(folder=came, limit_bytes=MB)
    monkeypatch.setattr(uploads, "check_in_process", _crash)
    with pytest.raises(InputError, match="files that the readers cannot take"):
        uploads.checked(stage, 2.0, multiprocessing.get_context("fork"))


def _crash(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_more_than_the_limit_is_refused(tmp_path):
    big = tmp_path / "p_LGE.nii.gz"
    big.write_bytes(bytes(3 * MB))
    words = refused(tmp_path / "patients", form("new", big), upload_gb=1 / 1024)
    assert "expected at most 1 MB" in words


def test_a_page_is_told_at_first_what_would_be_too_large(tmp_path):
    async def talk(client: TestClient) -> None:
        here = str(client.make_url("/")).rstrip("/")
        async with client.ws_connect("/talk", origin=here) as socket:
            await socket.send_json({"reader": "AB", "reading": "1"})
            largest = (await socket.receive_json())["largest"]
        assert largest["bytes"] == 3 * MB
        assert largest["words"].startswith("expected at most 3 MB for a patient, found more; leave")

    sent(tmp_path / "patients", talk, upload_gb=3 / 1024)


def test_a_length_that_is_not_told_does_not_help(tmp_path):
    async def much() -> Any:
        boundary = b"--b\r\nContent-Disposition: form-data; name=file; filename=p_LGE.nii\r\n\r\n"
        yield boundary
        for _ in range(40):
            yield bytes(2**16)
        yield b"\r\n--b--\r\n"

    async def talk(client: TestClient) -> None:
        here = str(client.make_url("/")).rstrip("/")
        headers = {"Origin": here, "Content-Type": "multipart/form-data; boundary=b"}
        async with client.post(HERE, data=much(), headers=headers) as answer:
            assert answer.status == 400 and "at most 1 MB" in (await answer.json())["refused"]

    sent(tmp_path / "patients", talk, upload_gb=1 / 1024)
    assert list((tmp_path / "patients").iterdir()) == []


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, came, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")
    # The kernel's own answer of a disk without room.
    monkeypatch.setattr(uploads.UploadStage, "new_file", lambda self, name: Path("/dev/full"))
    words = refused(tmp_path / "patients", form("new", came / "p_LGE.nii.gz"))
    assert "No space left on device" in words and "nothing was kept" in words


@pytest.mark.parametrize("made", [{"name": "new"}, b"\x00\x01", "name=new"])
def test_what_is_no_form_with_files_is_refused(tmp_path, made):
    assert "expected the" in refused(tmp_path / "patients", made)


def test_a_form_in_a_form_is_refused(tmp_path):
    with MultipartWriter("form-data") as made, MultipartWriter("mixed") as inner:
        inner.append("x")
        made.append(inner)
    assert "expected the" in refused(tmp_path / "patients", made)


def test_a_connection_that_breaks_leaves_nothing(tmp_path):
    async def half() -> Any:
        yield b"--b\r\nContent-Disposition: form-data; name=file; filename=p_LGE.nii\r\n\r\nabc"
        raise ConnectionError

    async def talk(client: TestClient) -> None:
        here = str(client.make_url("/")).rstrip("/")
        headers = {"Origin": here, "Content-Type": "multipart/form-data; boundary=b"}
        with pytest.raises(Exception):  # noqa: B017 - which one is the client's matter
            await client.post(HERE, data=half(), headers=headers)
        await asyncio.sleep(0.2)

    assert sent(tmp_path / "patients", talk).told == []
    assert list((tmp_path / "patients").iterdir()) == []


def test_an_upload_that_is_canceled_while_it_is_checked_leaves_nothing(tmp_path, came, monkeypatch):
    begun, left = threading.Event(), threading.Event()

    def check(*_: Any) -> int:
        begun.set()
        left.wait(5)
        return 0

    async def talk(client: TestClient) -> None:
        sending = asyncio.ensure_future(post(client, form("new", came / "p_LGE.nii.gz")))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 5)
        assert len(list((tmp_path / "patients").iterdir())) == 1  # it waits in its hidden folder
        sending.cancel()
        await asyncio.sleep(0.2)
        left.set()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(uploads, "checked", check)
    assert sent(tmp_path / "patients", talk).told == []
    assert begun.is_set() and list((tmp_path / "patients").iterdir()) == []


def test_only_a_reader_who_is_here_adds_patients_and_only_where_it_is_allowed(tmp_path, came):
    folder, new = tmp_path / "patients", came / "p_LGE.nii.gz"

    async def talk(client: TestClient) -> None:
        assert (await post(client, form("new", new), "http://evil.example"))[0] == 403
        here = str(client.make_url("/")).rstrip("/")
        nobody = "/patients/ZZ/1"
        async with client.post(nobody, data=form("x", new), headers={"Origin": here}) as answer:
            assert answer.status == 403
        client.session.cookie_jar.clear()
        assert (await post(client, form("new", new)))[0] == 401

    async def forbidden(client: TestClient) -> None:
        assert (await post(client, form("new", new)))[0] == 403

    sent(folder, talk)
    sent(folder, forbidden, uploads=False)
    assert list(folder.iterdir()) == []
