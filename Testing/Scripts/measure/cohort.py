"""Does `myops batch` bring a cohort to its end through everything that goes wrong on the way?

    python Testing/Scripts/measure/cohort.py WORK --patients 200

Makes small synthetic patients (one slice of 128 x 128 pixels, three sequences), spoils five of them,
and runs the command as a user would: a process is killed (SIGKILL) in the middle of a patient, then
the command itself, then the same command finishes the rest. With --dask the same on two workers of
a Dask cluster whose scheduler is killed. With --full-disk (root, Linux) a disk of 58 MB runs full.
With --rate patients per minute of one and of several processes, one after the other.

Writes WORK/cohort.json and prints it. Nothing of WORK is read by a test.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from myops.batch.local import usable_cores
from myops.phantom.patient import PhantomConfig, generate_patient

HEARTS = 6
HALF_PX = 64
SUFFIXES = {"lge": "DE", "bssfp": "C0", "t2": "T2"}
COMMAND = [sys.executable, "-m", "myops", "batch", "--device", "cpu"]
SMALL_DISK = "58M"
# Patients for the small disk: more than the 8 MB above the limit of 50 MB hold.
FEW = 12


def main() -> None:
    """Run what is asked for, and write what happened."""
    arguments = parse()
    work = arguments.work.absolute()
    source = work / "patients"
    note = work / "spoiled.json"
    if not note.exists():
        note.write_text(json.dumps(make_cohort(source, arguments.patients)), "utf-8")
    spoiled = json.loads(note.read_text("utf-8"))
    found: dict[str, Any] = {"patients": arguments.patients, "spoiled": spoiled}
    workers = ("--workers", str(arguments.workers))
    found["killed"] = kill_and_finish(source, work / "killed", *workers)
    if arguments.dask:
        found["dask"] = kill_scheduler(source, work / "dask", work, arguments.dask)
    if arguments.full_disk:
        found["full_disk"] = fill_disk(source, work / "small_disk")
    if arguments.rate:
        found["rate"] = rates(source, work / "rate", arguments.rate)
    (work / "cohort.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--dask", type=int, default=0, help="patients of the run on a cluster")
    parser.add_argument("--full-disk", action="store_true")
    parser.add_argument("--rate", type=int, default=0, help="patients of each timed run")
    return parser.parse_args()


def make_cohort(source: Path, count: int) -> dict[str, str]:
    """Write patients that all differ, and spoil five; name to what was done to it."""
    hearts = [small_heart(seed) for seed in range(300, 300 + HEARTS)]
    for number in range(count):
        images, spacing = hearts[number % HEARTS]
        noise = np.random.default_rng(number)
        folder = source / f"patient_{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for sequence, suffix in SUFFIXES.items():
            pixels = images[sequence] + noise.normal(0, 1, images[sequence].shape)
            image = sitk.GetImageFromArray(pixels.astype(np.int16))
            image.SetSpacing(spacing)
            sitk.WriteImage(image, str(folder / f"p{number:03d}_{suffix}.nii.gz"))
    return spoil(source)


def small_heart(seed: int) -> tuple[dict[str, np.ndarray], tuple[float, float, float]]:
    """One slice through the middle of a synthetic heart."""
    patient = generate_patient(seed, PhantomConfig(dropout=False, artifacts=False))
    z, y, x = (round(float(places.mean())) for places in np.nonzero(patient.labels))
    near = np.s_[z : z + 1, max(0, y - HALF_PX) : y + HALF_PX, max(0, x - HALF_PX) : x + HALF_PX]
    return {key: patient.images[key][near] for key in SUFFIXES}, patient.spacing_mm


def spoil(source: Path) -> dict[str, str]:
    """Five patients as hospitals send them."""
    folders = sorted(source.iterdir())
    cut, text, lonely, twin, dicom = (folders[k] for k in (3, 11, 19, 27, 35))
    image = next(cut.glob("*_DE.nii.gz"))
    image.write_bytes(image.read_bytes()[:2000])
    next(text.glob("*_DE.nii.gz")).write_text("the disk was full", "ascii")
    for suffix in ("DE", "C0"):
        next(lonely.glob(f"*_{suffix}.nii.gz")).unlink()
    shutil.rmtree(twin)
    shutil.copytree(folders[28], twin)
    for path in dicom.iterdir():
        path.unlink()
    for number in range(4):
        content = b"\0" * 128 + b"DICM" + bytes(range(40)) * (number + 1)
        (dicom / f"{number}.dcm").write_bytes(content)
    return {
        cut.name: "LGE cut off after 2000 bytes",
        text.name: "text in place of the LGE",
        lonely.name: "T2 alone",
        folders[28].name: f"the images of {twin.name}",
        dicom.name: "four damaged DICOM files",
    }


def kill_and_finish(source: Path, output: Path, *more: str) -> dict[str, Any]:
    """Kill a process, then the command, then run it to the end."""
    count = len(list(source.iterdir()))
    running = start(source, output, *more)
    wait_for(output, count // 4)
    victim = children(running.pid)[-1]
    os.kill(victim, signal.SIGKILL)
    wait_for(output, count // 2)
    workers = children(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(5)
    left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    before = times(output)
    code, seconds = finish(source, output, *more)
    return {
        "after_the_kills": len(before),
        "processes_left": len(left),
        "redone": sum(times(output)[name] != at for name, at in before.items()),
        **ending(output, code, seconds),
    }


def kill_scheduler(source: Path, output: Path, work: Path, count: int) -> dict[str, Any]:
    """Two Dask workers; the scheduler is killed in the middle and started again."""
    few = work / "few"
    for folder in sorted(source.iterdir())[:count]:
        shutil.copytree(folder, few / folder.name, dirs_exist_ok=True)
    place, options = work / "scheduler.json", ("--scheduler", str(work / "scheduler.json"))
    scheduler, workers = cluster(place)
    running = start(few, output, *options)
    wait_for(output, count // 3)
    scheduler.kill()
    code = running.wait(timeout=600)
    before, stopped = times(output), code
    for one in workers:
        one.kill()
    scheduler, workers = cluster(place)
    code, seconds = finish(few, output, *options)
    for one in (*workers, scheduler):
        one.terminate()
    return {
        "exit_code_without_scheduler": stopped,
        "after_the_kill": len(before),
        "redone": sum(times(output)[name] != at for name, at in before.items()),
        **ending(output, code, seconds),
    }


def cluster(place: Path) -> tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """A scheduler on this machine, known by a file, and two workers of one thread."""
    place.unlink(missing_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [
            *dask_command("scheduler"),
            "--scheduler-file",
            str(place),
            "--no-dashboard",
            "--port",
            "0",
        ],
        **quiet,
    )
    while not place.exists():
        time.sleep(0.2)
    worker = [*dask_command("worker"), "--scheduler-file", str(place), "--nthreads", "1"]
    return scheduler, [
        subprocess.Popen(
            [*worker, "--no-dashboard", "--local-directory", str(place.parent)], **quiet
        )
        for _ in range(2)
    ]


def dask_command(name: str) -> list[str]:
    """What the command `dask` runs."""
    return [sys.executable, "-m", "dask", name]


def fill_disk(source: Path, output: Path) -> dict[str, Any]:
    """Run on a small disk, then make room, then run to the end."""
    output.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", output], check=True
    )
    try:
        few = output.parent / "for_small_disk"
        for folder in sorted(source.iterdir())[-FEW:]:
            shutil.copytree(folder, few / folder.name, dirs_exist_ok=True)
        code, seconds = finish(few, output)
        full = ending(output, code, seconds)
        subprocess.run(["mount", "-o", "remount,size=1G", output], check=True)
        return {"full": full, "with_room": ending(output, *finish(few, output))}
    finally:
        subprocess.run(["umount", output], check=True)


def rates(source: Path, output: Path, count: int) -> dict[str, Any]:
    """Patients per minute between the first and the last result, and CPU seconds per patient."""
    few = output.parent / "for_rate"
    for folder in sorted(source.iterdir())[-count:]:
        shutil.copytree(folder, few / folder.name, dirs_exist_ok=True)
    found: dict[str, Any] = {}
    for round_number in range(2):
        for workers in (1, usable_cores()):
            place = output / f"{workers}_{round_number}"
            finish(few, place, "--workers", str(workers))
            ended = sorted(times(place).values())
            # The first patients of the processes end with their start, which is not the rate.
            span = ended[-1] - ended[workers - 1]
            found.setdefault(f"{workers}", []).append(round(60 * (count - workers) / span, 2))
    one, many = (float(np.mean(found[f"{workers}"])) for workers in (1, usable_cores()))
    return {"per_minute": found, "share_of_cores_x_one": round(many / (usable_cores() * one), 3)}


def start(source: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    """The command, its words in a log beside the output."""
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_name(f"{output.name}.log").open("ab")
    return subprocess.Popen(
        [*COMMAND, str(source), "-o", str(output), *more], stderr=log, stdout=log
    )


def finish(source: Path, output: Path, *more: str) -> tuple[int, float]:
    """Run the command to its end: exit code and seconds."""
    began = time.monotonic()
    return start(source, output, *more).wait(), time.monotonic() - began


def wait_for(output: Path, count: int) -> None:
    """Until so many patients have results."""
    while len(times(output)) < count:
        time.sleep(0.5)


def times(output: Path) -> dict[str, float]:
    """Patient to the moment at which its results appeared."""
    return {
        path.parent.name: path.stat().st_mtime for path in output.glob("patients/*/results.json")
    }


def ending(output: Path, code: int, seconds: float) -> dict[str, Any]:
    """What the table says."""
    with (output / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "exit_code": code,
        "seconds": round(seconds, 1),
        "rows": len(rows),
        "statuses": Counter(row["status"] for row in rows),
        "problems": {row["patient"]: row["problem"][:160] for row in rows if row["problem"]},
        "page_kb": (output / "overview.html").stat().st_size // 1000,
        "parquet": (output / "results.parquet").exists(),
        "unfinished": len(list(output.glob("patients/.myops*"))),
    }


def children(pid: int) -> list[int]:
    """Processes that a process has started and that work for it."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    found = [int(one) for one in text.split()]
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


if __name__ == "__main__":
    main()
