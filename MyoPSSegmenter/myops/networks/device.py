"""Where the networks run, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from myops.errors import InputError


def resolve_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into a device that exists here.

    Raises:
        InputError: the name is unknown or there is no such device; lists those there are.
    """
    available = available_devices()
    if name == "auto":
        return torch.device("cuda:0" if "cuda:0" in available else available[-1])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        raise InputError(
            f"device {name!r} is not available: expected auto or one of {', '.join(available)}; "
            "choose one of these"
        )
    return torch.device(wanted)


def available_devices() -> list[str]:
    """Names of the devices torch can use here; the CPU comes first."""
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices


def has_fast_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 is faster than float32: AVX512-BF16 or AMX processors, recent GPUs."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # torch has no public question for this; without an answer float32 is always right.
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known)


def precision_now(device: torch.device) -> str:
    """The precision that a network on this device runs in at this moment, such as "bfloat16"."""
    kind = device.type
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        return "float32"
    return str(torch.get_autocast_dtype(kind)).removeprefix("torch.")


def inference_precision(device: torch.device) -> AbstractContextManager[object]:
    """Context in which a network runs: bfloat16 where it is fast, else float32."""
    if has_fast_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
