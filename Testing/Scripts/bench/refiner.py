"""How long a correction takes: encoding, click to mask, and memory, as one Markdown table.

    python Testing/Scripts/bench/refiner.py                  two threads of the CPU, the yardstick
    python Testing/Scripts/bench/refiner.py --device cuda
    python Testing/Scripts/bench/refiner.py --random         the larger network, untrained: as fast

The patient is the synthetic one of 12 slices of `segment.py`, segmented by the cascade. A click's
time runs from `Session.click` to the new label map; on a busy machine the processor time says more
(with --threads 1). SAM ViT-B (Segment Anything, Apache-2.0) with
random weights encodes one 1024 x 1024 image in the same run. Memory is the process's peak before
SAM is built: libraries, cascade, refiner and patient.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import segment as benchmark  # beside this file; puts the library on the path

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.refiner import RefinerModel
    from myops.segmentation import Segmentation

Row = tuple[str, float, str]
CLICKS_PER_SLICE = 10


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--model", default="default", help="name or folder of the refiner's weights"
    )
    parser.add_argument("--random", action="store_true", help="the larger network, untrained")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (0 = torch's choice)")
    parser.add_argument("--repeats", type=int, default=5, help="encodings measured; the median is")
    parser.add_argument("--no-sam", action="store_true", help="leave out SAM ViT-B")
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    benchmark.set_threads(options.threads)
    with benchmark.phantom_patient() as (folder, description):
        case, segmentation = segmented(folder, options.device)
    model = random_model(options.device) if options.random else load_model(options)
    rows, slice_s = encoding_rows(model, case, segmentation, options.repeats)
    rows += click_rows(model, case, segmentation)
    rows.append(("peak memory", peak_memory_gb(), "GB"))
    if not options.no_sam:
        rows += sam_rows(slice_s, options)
    benchmark.print_table(rows, f"{description}; refiner {model.name}", options)


def segmented(folder: object, device: str) -> tuple[Case, Segmentation]:
    """Read the patient and run the cascade."""
    from myops.cascade.segment import segment
    from myops.case import load_case_folder
    from myops.weights.files import load_models

    case = load_case_folder(str(folder))
    return case, segment(case, load_models(device))


def load_model(options: argparse.Namespace) -> RefinerModel:
    """Load a trained refiner."""
    from myops.refine.refiner import load_refiner

    return load_refiner(options.device, options.model)


def random_model(device: str) -> RefinerModel:
    """Build the larger network with random weights."""
    import torch

    from myops.networks.device import resolve_device
    from myops.refine.refiner import RefinerModel
    from myops.weights.files import BUILDERS

    target = resolve_device(device)
    network = BUILDERS["refiner"]().eval()
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return RefinerModel(network, target, int(network.size), "untrained", "")  # type: ignore[arg-type]


def encoding_rows(
    model: RefinerModel, case: Case, segmentation: Segmentation, repeats: int
) -> tuple[list[Row], float]:
    """Time until the first slice and all slices are encoded, and for one of them on average."""
    from myops.refine.refiner import Refiner

    refiner = Refiner(model)
    count = case.geometry.array_shape[0]

    def first_slice() -> None:
        refiner.set_case(case, segmentation)
        refiner.encode([count // 2])
        wait(model)

    def all_slices() -> None:
        refiner.set_case(case, segmentation)
        refiner.encode()
        wait(model)

    start = time.perf_counter()
    first_slice()
    cold = time.perf_counter() - start
    first, whole = (median(function, repeats) for function in (first_slice, all_slices))
    # The whole stack over its slices, `set_case` included: the difference of two short times that
    # other processes disturb would flatter.
    one = whole / count
    rows = [
        ("`set_case` and the first slice, first time in the process", cold, "s"),
        ("`set_case` and the first slice", first, "s"),
        (f"`set_case` and all {count} slices", whole, "s"),
        ("one slice of them, on average", 1000 * one, "ms"),
    ]
    return rows, one


def click_rows(model: RefinerModel, case: Case, segmentation: Segmentation) -> list[Row]:
    """Median and 95th percentile from click to label map, all slices encoded."""
    from myops.refine.refiner import Refiner
    from myops.refine.session import Session

    session = Session(Refiner(model), case, segmentation)
    session.refiner.encode()
    session.refiner.predict(*first_prompt(session.labels))  # prepares the kernels
    clocks = (time.perf_counter, time.process_time)
    taken = []
    for index, row, column, positive in clicks(session.labels):
        start = [clock() for clock in clocks]
        session.click("scar", index, row, column, positive)
        taken.append([1000 * (clock() - began) for clock, began in zip(clocks, start, strict=True)])
    (p50, work50), (p95, work95) = np.percentile(taken, (50, 95), axis=0).tolist()
    return [
        (f"click to mask, p50 of {len(taken)}", p50, "ms"),
        ("click to mask, p95", p95, "ms"),
        ("click to mask, slowest", max(wall for wall, _ in taken), "ms"),
        ("processor time of a click, p50", work50, "ms"),
        ("processor time of a click, p95", work95, "ms"),
    ]


def first_prompt(labels: np.ndarray) -> tuple[object, np.ndarray]:
    """A click to begin with."""
    from myops.refine.prompts import Point, Prompts

    index, row, column, positive = clicks(labels)[0]
    return Prompts("scar", index, (Point(row, column, positive),)), labels


def clicks(labels: np.ndarray) -> list[tuple[int, int, int, bool]]:
    """Random places in the wall, ten in every slice, by turns + and −."""
    from myops.labels import myocardium

    rng = np.random.default_rng(0)
    found = []
    for index, wall in enumerate(myocardium(labels)):
        places = rng.permutation(np.argwhere(wall))[:CLICKS_PER_SLICE]
        found += [(index, int(r), int(c), n % 2 == 0) for n, (r, c) in enumerate(places)]
    return found


def sam_rows(slice_s: float, options: argparse.Namespace) -> list[Row]:
    """Time of one SAM ViT-B encoding, and how many times faster the refiner's is."""
    import torch

    from myops.networks.device import resolve_device

    device = resolve_device(options.device)
    encoder = benchmark.sam_vit_b_encoder().to(device)
    image = torch.rand(1, 3, 1024, 1024, device=device)

    def encode() -> None:
        with torch.inference_mode():
            encoder(image)

    seconds = benchmark.median_seconds(encode, device, max(1, options.repeats // 2))
    return [
        ("SAM ViT-B, one 1024 x 1024 encoding, float32", seconds, "s"),
        ("SAM encoding / refiner's slice", seconds / slice_s, "×"),
    ]


def median(function: Callable[[], None], repeats: int) -> float:
    """Median wall time of a function in s."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait(model: RefinerModel) -> None:
    """Let a GPU finish; a click waits by itself, since its mask comes back."""
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory_gb() -> float:
    """Peak memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
