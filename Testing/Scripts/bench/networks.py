"""Ways to run the three networks on a processor: one Markdown table, ratios in one run.

    python Testing/Scripts/bench/networks.py --threads 1
    python Testing/Scripts/bench/networks.py --threads 1 2 --rows eager,folded

A pass is heart finder, ASSN and PRSN once over the slices of a patient with three sequences; the
cascade makes four of them, one per flip. CPU time is the process's own, best of several runs: other
programs lengthen it less than wall time. Every way is run by turns with the first one, and the
ratio is that of their best. ONNX Runtime (with onnx) and OpenVINO are measured where
they are installed; the project does not need them. `difference` is the largest one of any logit
from plain float32. Beside the table: operations, bytes, and what this machine reaches at most.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import segment as benchmark  # beside this file; puts the library on the path
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import myops.networks.assn
import myops.networks.prsn
from myops.networks.folding import fold_normalization
from myops.weights.files import load_network, model_folder, read_manifest

Run = Callable[[], list[np.ndarray]]
NAMES = ("heartfinder", "assn", "prsn")


class Pass(nn.Module):
    """The three networks once, for patients that have every sequence."""

    def __init__(self, networks: dict[str, nn.Module], whole_prsn: bool = False) -> None:
        super().__init__()
        self.heartfinder, self.assn, self.prsn = (networks[name] for name in NAMES)
        self.whole_prsn = whole_prsn

    def forward(self, finder: torch.Tensor, heart: torch.Tensor, tissue: torch.Tensor):
        """Logits of heart finder, ASSN and PRSN's main branch."""
        present = torch.ones(len(heart), 3)
        prsn = self.prsn if self.whole_prsn else self.prsn.main_logits
        return self.heartfinder(finder), self.assn(heart, present), prsn(tissue, present)["main"]


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="synthetic")
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", default="", help="only rows whose names hold one of these words")
    options = parser.parse_args()
    # Every sequence is there: exported, "where it is present" must not depend on the data.
    for module in (myops.networks.assn, myops.networks.prsn):
        module.run_where_present = lambda part, images, _present: list(part(images))
    networks = loaded(options.model)
    inputs = random_inputs(networks, options.slices)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(heading(networks, inputs, threads, options), flush=True)
        print("| how | CPU ms per slice and pass | of the first row, by turns | wall ms | "
              "difference | CPU s to get ready |\n|---|---|---|---|---|---|", flush=True)  # fmt: skip
        words = options.rows.split(",")
        yardstick = None
        for name, make in variants(networks, inputs, threads):
            if yardstick is not None and not any(word in name for word in words):
                continue
            yardstick = row(name, make, yardstick, options) or yardstick


def row(
    name: str, make: Callable[[], Run], yardstick: Run | None, options: argparse.Namespace
) -> Run | None:
    """Print one row, measured by turns with the yardstick; what was run, or None if it failed."""
    try:
        start = time.process_time()
        run = make()
        found = run()
        ready_s = time.process_time() - start
    except Exception as error:  # whatever a runtime that is not ours raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:90].replace("|", "/")
        print(f"| {name} | failed: {reason} | | | | |", flush=True)
        return None
    yardstick = yardstick or run
    expected = yardstick()
    taken: list[tuple[float, float, float]] = []
    for _ in range(options.repeats):
        marks = [(time.process_time(), time.perf_counter())]
        for work in (run, yardstick):
            work()
            marks.append((time.process_time(), time.perf_counter()))
        (cpu0, wall0), (cpu1, wall1), (cpu2, _) = marks
        taken.append((cpu1 - cpu0, wall1 - wall0, cpu2 - cpu1))
    cpu_ms, wall_ms, other_ms = (1e3 * min(times) / options.slices for times in zip(*taken))
    apart = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
    print(
        f"| {name} | {cpu_ms:.1f} | {cpu_ms / other_ms:.2f} | {wall_ms:.1f} | {apart:.2g} | "
        f"{ready_s:.1f} |",
        flush=True,
    )
    return yardstick


def loaded(model: str) -> dict[str, nn.Module]:
    """The networks as they were trained."""
    folder = model_folder(model, None)
    manifest = read_manifest(folder)
    return {
        name: load_network(name, folder / manifest[name]["file"], manifest[name]).eval()
        for name in NAMES
    }


def random_inputs(networks: dict[str, nn.Module], slices: int) -> list[torch.Tensor]:
    """Noise in the networks' sizes; a convolution takes as long for it as for hearts."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"heartfinder": 128, "assn": 128, "prsn": 80}
    planes = {name: 3 * getattr(networks[name], "planes", 1) for name in NAMES}
    return [torch.rand(slices, planes[n], sizes[n], sizes[n], generator=generator) for n in NAMES]


def variants(
    networks: dict[str, nn.Module], inputs: list[torch.Tensor], threads: int
) -> Iterator[tuple[str, Callable[[], Run]]]:
    """Name of a way to run them, and what prepares it."""
    last = torch.channels_last

    def pass_of(
        folded: bool = True, layout: torch.memory_format = last, whole: bool = False
    ) -> Pass:
        parts = {name: copy.deepcopy(network) for name, network in networks.items()}
        if folded:
            parts = {name: fold_normalization(network) for name, network in parts.items()}
        return Pass(parts, whole).eval().to(memory_format=layout)  # type: ignore[call-overload]

    def laid(layout: torch.memory_format = last) -> list[torch.Tensor]:
        return [images.contiguous(memory_format=layout) for images in inputs]

    def eager(network: Callable[..., tuple], shown: list[torch.Tensor], chunk: int = 0) -> Run:
        def run() -> list[np.ndarray]:
            step, count = chunk or len(shown[0]), len(shown[0])
            with torch.inference_mode():
                parts = [network(*(x[k : k + step] for x in shown)) for k in range(0, count, step)]
            return [torch.cat(logits).float().numpy() for logits in zip(*parts, strict=True)]

        return run

    def bfloat16() -> Run:
        run = eager(pass_of(), laid())

        def lower() -> list[np.ndarray]:
            with torch.autocast("cpu", torch.bfloat16):
                return run()

        return lower

    def four_in_one() -> Run:
        shown = [images.repeat(4, 1, 1, 1).contiguous(memory_format=last) for images in inputs]
        run = eager(pass_of(), shown)
        return lambda: [logits[: len(inputs[0])] for logits in run()]

    plain = torch.contiguous_format
    yield "eager, channels last, as trained, PRSN with all its answers", lambda: eager(
        pass_of(folded=False, whole=True), laid())  # fmt: skip
    yield "the same, plain layout", lambda: eager(pass_of(False, plain, whole=True), laid(plain))
    yield "PRSN's main branch alone", lambda: eager(pass_of(folded=False), laid())
    yield (
        "**and normalization folded** (what `load_models` gives)",
        lambda: eager(pass_of(), laid()),
    )
    yield "folded, plain layout", lambda: eager(pass_of(layout=plain), laid(plain))
    yield "folded, chunks of 4 slices", lambda: eager(pass_of(), laid(), chunk=4)
    yield "folded, one slice at a time", lambda: eager(pass_of(), laid(), chunk=1)
    yield "folded, four flips in one batch (time is of all four)", four_in_one
    yield "folded, bfloat16", bfloat16
    yield "folded, torch.compile", lambda: eager(torch.compile(pass_of()), laid())
    yield "folded, torch.export", lambda: eager(
        torch.export.export(pass_of(), tuple(laid())).module(), laid())  # fmt: skip
    yield "ONNX Runtime", lambda: onnx_run(pass_of(layout=plain), inputs, threads, int8=False)
    yield "ONNX Runtime, int8, calibrated", lambda: onnx_run(
        pass_of(layout=plain), inputs, threads, int8=True)  # fmt: skip
    yield "OpenVINO", lambda: openvino_run(pass_of(layout=plain), inputs, threads)


def onnx_run(network: Pass, inputs: list[torch.Tensor], threads: int, int8: bool) -> Run:
    """Export, quantize if asked, and give a session's run."""
    import onnxruntime
    from onnxruntime import quantization

    names = ["finder", "heart", "tissue"]
    arrays = {name: images.numpy() for name, images in zip(names, inputs, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pass.onnx"
        torch.onnx.export(network, tuple(inputs), path, input_names=names, dynamo=False)
        if int8:

            class Noise(quantization.CalibrationDataReader):
                left = [arrays]  # noqa: RUF012

                def get_next(self) -> dict[str, np.ndarray] | None:
                    return self.left.pop() if self.left else None

            quantization.quantize_static(path, f"{folder}/int8.onnx", Noise(), per_channel=True)
            path = f"{folder}/int8.onnx"
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, arrays)


def openvino_run(network: Pass, inputs: list[torch.Tensor], threads: int) -> Run:
    """Convert and compile."""
    import openvino

    converted = openvino.convert_model(network, example_input=tuple(inputs))
    settings = {"INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(converted, "CPU", settings)
    arrays = [images.numpy() for images in inputs]
    return lambda: list(compiled(arrays).values())


def heading(
    networks: dict[str, nn.Module],
    inputs: list[torch.Tensor],
    threads: int,
    options: argparse.Namespace,
) -> str:
    """What was measured on, operations and bytes of a pass, and the machine's measured peak."""
    lines = [
        f"{benchmark.hardware('cpu')}; {threads} thread(s); torch {torch.__version__}; "
        f"{options.slices} slices, best of {options.repeats}; load {os.getloadavg()[0]:.1f}; "
        f"`python {' '.join(sys.argv)}`\n"
    ]
    whole = Pass(networks, whole_prsn=True), "PRSN with all its answers"
    for network, words in (whole, (Pass(networks), "main branch alone")):
        with torch.inference_mode(), FlopCounterMode(display=False) as flops:
            network(*inputs)
        count = flops.get_total_flops() / options.slices / 1e9
        lines.append(f"- {count:.2f} GFLOP per slice and pass, {words}")
    lines.append(f"- {feature_bytes(Pass(networks), inputs) / options.slices / 1e6:.0f} MB of "
                 "feature maps written by convolutions per slice and pass")  # fmt: skip
    matrix, far = torch.rand(1024, 1024), torch.rand(1 << 24)
    gemm_s = best_cpu(lambda: matrix @ matrix)
    add_s = best_cpu(lambda: far.add_(1.0))
    lines.append(f"- measured peak: {2 * 1024**3 / gemm_s / 1e9:.0f} GFLOP/s per CPU second (float32 "
                 f"matrix product), {2 * 4 * (1 << 24) / add_s / 1e9:.0f} GB/s\n")  # fmt: skip
    return "\n".join(lines)


def feature_bytes(network: nn.Module, inputs: list[torch.Tensor]) -> int:
    """Bytes of what all convolutions write, float32."""
    total = 0

    def add(_module: nn.Module, _given: object, written: torch.Tensor) -> None:
        nonlocal total
        total += written.numel() * 4

    hooks = [part.register_forward_hook(add) for part in network.modules()
             if isinstance(part, nn.Conv2d)]  # fmt: skip
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def best_cpu(work: Callable[[], object], repeats: int = 5) -> float:
    """CPU seconds of the fastest of several runs."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    main()
