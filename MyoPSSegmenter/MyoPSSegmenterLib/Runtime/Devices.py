"""Which devices the networks can run on, and whether one really works.

Importing torch takes seconds, so it happens in the background; until then only what needs no look
is listed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from MyoPSSegmenterLib.Runtime.Translation import tr as _

AUTO, CPU = "auto", "cpu"
# A difference beyond rounding means a torch build that does not fit the device.
KERNEL_TOLERANCE = 1e-2


def hasTorch() -> bool:
    """Whether torch is installed; does not import it."""
    if "torch" in sys.modules:
        return sys.modules["torch"] is not None
    try:
        return find_spec("torch") is not None
    except (ImportError, ValueError):
        return False


def knownDevices(gpus: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """Id and title of each device: "auto", the CPU, then those of `findGpus`; empty without torch.

    Answers at once.
    """
    return [(AUTO, _("Automatic")), (CPU, "CPU"), *gpus] if hasTorch() else []


def findGpus() -> list[tuple[str, str]]:
    """Id and name of each GPU: seconds, for the background.

    Torch is imported, and the name of a GPU starts its driver.

    Raises:
        ImportError: torch is not there, or cannot be loaded.
    """
    import torch

    return _accelerators(torch)


def _accelerators(torch: Any) -> list[tuple[str, str]]:
    try:
        found = [
            (f"cuda:{index}", torch.cuda.get_device_name(index))
            for index in range(torch.cuda.device_count())
        ]
        if torch.backends.mps.is_available():
            found.append(("mps", "Apple GPU"))
    except (AttributeError, AssertionError, RuntimeError):  # a build or driver without its parts
        return []
    return found


def usableDevice(name: str) -> tuple[str, str | None]:
    """Try a device with a small convolution, and fall back to the CPU.

    Args:
        name: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        The device to use, and a sentence for the user where it is not the one asked for.

    Raises:
        InputError: there is no such device.
    """
    from myops.networks.device import resolve_device

    device = str(resolve_device(name))
    if device == CPU:
        return CPU, None
    problem = kernelProblem(device)
    if problem is None:
        return device, None
    return CPU, (
        _(
            "The device {device} cannot run the networks with the installed PyTorch ({problem}). "
            "The CPU is used instead; a PyTorch build that fits the GPU would make it faster."
        ).format(device=device, problem=problem)
    )


def kernelProblem(device: str) -> str | None:
    """Run a small convolution on a device and on the CPU; None if they agree."""
    import torch

    image = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    kernel = torch.linspace(-1, 1, 4 * 3 * 3 * 3).reshape(4, 3, 3, 3)
    try:
        with torch.inference_mode():
            expected = torch.nn.functional.conv2d(image, kernel)
            found = torch.nn.functional.conv2d(image.to(device), kernel.to(device)).cpu()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        return str(error).strip().split("\n")[0]
    wrong = float((found - expected).abs().max())
    return (
        None
        if wrong <= KERNEL_TOLERANCE
        else _("a test result is wrong by {wrong:.3g}").format(wrong=wrong)
    )
