"""How long a patient takes, where the time goes, and how much memory: one Markdown table.

Start-up, the networks, the drawing of the report, and a second patient in the same process, each
as a ratio to the yardstick. `--clock cpu` counts processor time instead, which other programs on
the machine lengthen less.

    python Testing/Scripts/bench/segment.py                      with the shipped weights, on the CPU
    python Testing/Scripts/bench/segment.py --threads 2          with two threads, the project's yardstick
    python Testing/Scripts/bench/segment.py --device cuda

The patient is a synthetic one of 12 slices and three sequences. The yardstick beside it is one
1024 x 1024 image encoding of SAM ViT-B (Segment Anything, Apache-2.0) with random weights, which
take as long as trained ones, in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SLICES = 12
FIRST_SEED = 910_000
LIBRARY = Path(__file__).resolve().parents[3] / "MyoPSSegmenter"
sys.path.insert(0, str(LIBRARY))


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps")
    parser.add_argument("--model", default="default", help="name or folder of the weights")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (0 = torch's choice)")
    parser.add_argument("--repeats", type=int, default=9, help="patients measured; the median is")
    parser.add_argument("--no-sam", action="store_true", help="leave out SAM ViT-B")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what is counted")
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.clock == "cpu":
        time.perf_counter = time.process_time
    rows = [("`import myops`", import_seconds(), "s")]
    with phantom_patient() as (folder, description):
        rows += start_rows(folder, options.clock)
        rows += command_rows(folder, options)
        patient_rows, patient_s = cascade_rows(folder, options)
    rows += patient_rows
    yardstick = ("`cascade.segment`", patient_s)
    if not options.no_sam:
        sam, sam_s = sam_rows(patient_s, options)
        rows, yardstick = rows + sam, ("SAM", sam_s)
    print_table(rows, description, options, yardstick)


def import_seconds(repeats: int = 5) -> float:
    """Median time of `import myops` in a fresh interpreter, without the interpreter's start."""
    code = "import time; t = time.perf_counter(); import myops; print(time.perf_counter() - t)"
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", code], env=environment, check=True,
                             capture_output=True, encoding="utf-8").stdout)
        for _ in range(repeats)
    )  # fmt: skip


@contextlib.contextmanager
def phantom_patient() -> Iterator[tuple[Path, str]]:
    """Write the first synthetic patient with 12 slices; give its folder and a description."""
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=False)
    seed = FIRST_SEED
    while (patient := generate_patient(seed, config)).labels.shape[0] != SLICES:
        seed += 1
    size = " x ".join(str(n) for n in patient.labels.shape)
    with tempfile.TemporaryDirectory() as folder:
        write_patient(patient, Path(folder))
        yield Path(folder), f"phantom {seed}, {len(patient.images)} sequences of {size}"


def start_rows(folder: Path, clock: str, repeats: int = 3) -> list[tuple[str, float, str]]:
    """Median time of two commands that a user waits for without a network."""
    commands = {"`myops --help`": ["--help"], "`myops info`": ["info", str(folder)]}
    return [
        (name, statistics.median(child(arguments, clock)[0] for _ in range(repeats)), "s")
        for name, arguments in commands.items()
    ]


def command_rows(folder: Path, options: argparse.Namespace) -> list[tuple[str, float, str]]:
    """Time and peak memory of the whole command, files to report."""
    arguments = ["segment", str(folder), "--output", str(folder / "out")]
    seconds, peak = child([*arguments, "--device", options.device, "--model", options.model],
                          options.clock)  # fmt: skip
    return [
        ("`myops segment`, files to report, with start-up", seconds, "s"),
        ("`myops segment`, peak memory", peak, "GB"),
    ]


def child(arguments: list[str], clock: str = "wall") -> tuple[float, float]:
    """Seconds and peak memory in GB of `myops` in a process of its own."""
    command = [sys.executable, "-m", "myops", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    start = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    errors = process.stderr.read().decode() if process.stderr else ""
    # wait4 gives this one child's memory; RUSAGE_CHILDREN would give the largest child's so far.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if clock == "cpu":
        seconds = usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"myops {arguments[0]} failed with exit code {process.returncode}:\n{errors}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    return seconds, usage.ru_maxrss * unit / 1e9


def cascade_rows(
    folder: Path, options: argparse.Namespace
) -> tuple[list[tuple[str, float, str]], float]:
    """Median time of the cascade and its parts in a warm process, and the total alone."""
    from myops.cascade.segment import segment
    from myops.case import load_case_folder
    from myops.weights.files import load_models

    set_threads(options.threads)
    start = time.perf_counter()
    models = load_models(options.device, name=options.model)
    loaded_s = time.perf_counter() - start
    case = load_case_folder(folder)
    segment(case, models)  # the first run prepares the kernels
    totals, parts = [], []
    for _ in range(options.repeats):
        start = time.perf_counter()
        parts.append(segment(case, models).seconds)
        totals.append(time.perf_counter() - start)
    total = statistics.median(totals)
    rows = [
        ("load the weights", loaded_s, "s"),
        ("`cascade.segment`, one patient", total, "s"),
        *((f"- {name}", statistics.median(p[name] for p in parts), "s") for name in parts[0]),
    ]
    rows.append(
        ("the three networks alone, 12 slices", network_seconds(models, options.repeats), "s")
    )
    return rows + patient_rows(folder, models, options.repeats), total


def patient_rows(folder: Path, models: object, repeats: int) -> list[tuple[str, float, str]]:
    """Measuring, drawing and the whole of a patient, files to report, after the first one."""
    from myops.cascade.segment import segment
    from myops.case import load_case_folder
    from myops.output.results import write_results
    from myops.quantify.measure import measure

    found: dict[str, list[float]] = {"measure": [], "write and draw": [], "drawing, first": []}
    whole = []
    for repeat in range(repeats + 1):
        marks = [time.perf_counter()]
        case = load_case_folder(folder)
        segmentation = segment(case, models)  # type: ignore[arg-type]
        marks.append(time.perf_counter())
        measurements = measure(case, segmentation)
        marks.append(time.perf_counter())
        write_results(folder / "again", case, segmentation, measurements)
        marks.append(time.perf_counter())
        if not repeat:  # imports and fonts
            found["drawing, first"].append(marks[3] - marks[2])
            continue
        found["measure"].append(marks[2] - marks[1])
        found["write and draw"].append(marks[3] - marks[2])
        whole.append(marks[3] - marks[0])
    return [
        ("write and draw all results, first patient", found["drawing, first"][0], "s"),
        (
            "write and draw all results, later patients",
            statistics.median(found["write and draw"]),
            "s",
        ),
        ("`measure`", statistics.median(found["measure"]), "s"),
        ("a later patient in the same process, files to report", statistics.median(whole), "s"),
    ]


def network_seconds(models: object, repeats: int) -> float:
    """Median time of heart finder, ASSN and PRSN on a batch of 12 slices."""
    import torch

    from myops.networks.device import inference_precision

    device = models.device  # type: ignore[attr-defined]
    present = torch.ones(SLICES, 3, device=device)

    def squares(name: str) -> torch.Tensor:
        size, network = models.sizes[name], getattr(models, name)  # type: ignore[attr-defined]
        channels = 3 * getattr(network, "planes", 1)
        images = torch.rand(SLICES, channels, size, size, device=device)
        return images.contiguous(memory_format=torch.channels_last)

    inputs = {name: squares(name) for name in ("heartfinder", "assn", "prsn")}

    def run() -> None:
        with torch.inference_mode(), inference_precision(device):
            models.heartfinder(inputs["heartfinder"])  # type: ignore[attr-defined]
            models.assn(inputs["assn"], present)  # type: ignore[attr-defined]
            models.prsn(inputs["prsn"], present)  # type: ignore[attr-defined]

    return median_seconds(run, device, repeats)


def sam_rows(
    patient_s: float, options: argparse.Namespace
) -> tuple[list[tuple[str, float, str]], float]:
    """Time of one SAM ViT-B encoding, as it is used (float32) and in the cascade's precision.

    Returns:
        The rows, and the time in float32.
    """
    import torch

    from myops.networks.device import has_fast_bfloat16, inference_precision, resolve_device

    device = resolve_device(options.device)
    encoder = sam_vit_b_encoder().to(device)
    image = torch.rand(1, 3, 1024, 1024, device=device)
    repeats = max(1, options.repeats // 3)

    def encode() -> None:
        with torch.inference_mode():
            encoder(image)

    def encode_in_cascade_precision() -> None:
        with torch.inference_mode(), inference_precision(device):
            encoder(image)

    seconds = yardstick = median_seconds(encode, device, repeats)
    rows = [("SAM ViT-B, one 1024 x 1024 encoding, float32", seconds, "s")]
    if has_fast_bfloat16(device):
        seconds = median_seconds(encode_in_cascade_precision, device, repeats)
        rows += [
            ("SAM ViT-B, one 1024 x 1024 encoding, bfloat16", seconds, "s"),
            ("patient / SAM encoding, both bfloat16", patient_s / seconds, ""),
        ]
    return rows, yardstick


def sam_vit_b_encoder() -> torch.nn.Module:
    """SAM ViT-B's image encoder, random weights; the numbers of its build_sam.py."""
    import torch

    from myops.networks.segment_anything_parts import modeling

    return modeling().ImageEncoderViT(
        depth=12, embed_dim=768, img_size=1024, mlp_ratio=4, num_heads=12, patch_size=16,
        norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6), qkv_bias=True,
        use_rel_pos=True, global_attn_indexes=[2, 5, 8, 11], window_size=14, out_chans=256,
    ).eval()  # fmt: skip


def median_seconds(function: Callable[[], None], device: object, repeats: int) -> float:
    """Median wall time of a function, after one run that does not count."""
    import torch

    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if getattr(device, "type", "") == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def set_threads(threads: int) -> None:
    """Give torch so many threads; 0 leaves its own choice."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def print_table(
    rows: list[tuple[str, float, str]],
    description: str,
    options: argparse.Namespace,
    yardstick: tuple[str, float],
) -> None:
    """Print the rows, times with their ratio to the yardstick, with what they were measured on."""
    import torch

    print(f"{hardware(options.device)}; {torch.get_num_threads()} threads; Python "
          f"{platform.python_version()}, torch {torch.__version__}; {description}; "
          f"median of {options.repeats}, {options.clock} time, load average {os.getloadavg()[0]:.1f}; "
          f"`python {' '.join(sys.argv)}`\n")  # fmt: skip
    name, seconds = yardstick
    print(f"| what | value | of {name} |\n|---|---|---|")
    for what, value, unit in rows:
        ratio = f"{value / seconds:.3g}" if unit == "s" else ""
        print(f"| {what} | {value:.3g} {unit} | {ratio} |".replace("  |", " |"))


def hardware(device: str) -> str:
    """Name of the processor and of the GPU in use."""
    import torch

    name = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text("utf-8").splitlines()
                  if line.startswith("model name")]  # fmt: skip
        name = models[0] if models else name
    gpu = f", {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"


if __name__ == "__main__":
    main()
