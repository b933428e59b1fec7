"""`myops web` as a process of its own, and small patients for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_S = 600.0
SLICES = 4


@dataclass
class Server:
    """`myops web` as a process of its own.

    Attributes:
        folder: of patients.
        address: with the token, as it was printed.
    """

    folder: Path
    address: str = ""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: Any = None

    def start(self) -> None:
        """Start it, and wait until it says where it is."""
        command = [sys.executable, "-m", "myops", "web", str(self.folder), "--device", "cpu"]
        paths = [str(ROOT / "MyoPSSegmenter"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "MYOPS_MODEL": "synthetic",
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        port = re.search(r":(\d+)/", self.address)
        ports = ("--port", port[1] if port else "0")
        self.process = subprocess.Popen(
            [*command, *ports, *self.options],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"Open (\S+)", line):
                self.address = found[1]
                return
        raise AssertionError("the server ended before it said where it is")

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self._close()

    def kill(self) -> None:
        """End it as a power cut does: nothing of it is asked."""
        self.process.kill()
        self.process.wait(10)
        self._close()

    def _close(self) -> None:
        if self.process is not None:
            self.process.stdout.close()


def make_patients(folder: Path) -> None:
    """Write a synthetic patient with all sequences, of the middle slices alone, under two names.

    The networks are quick on it, which they are not on whole hearts.
    """
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=False, upright=True, normal_share=0.0)
    write_patient(generate_patient(7, config), folder / "first", "first")
    _keep_middle(folder / "first")
    shutil.copytree(folder / "first", folder / "second")


def _keep_middle(folder: Path, slices: int = SLICES) -> None:
    import SimpleITK as sitk

    for path in folder.glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        first = (image.GetDepth() - slices) // 2
        sitk.WriteImage(image[:, :, first : first + slices], str(path))


def waitUntil(question: Any, timeout_s: float = START_S) -> Any:
    """Ask again and again until the answer is true; returns it."""
    end = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)
    return answer
