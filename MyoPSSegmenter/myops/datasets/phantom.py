"""Synthetic patients, as `find` gives those of a folder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from myops.datasets.find import case_loaders
from myops.datasets.labeled_case import CaseLoader, LabeledCase


def phantom_readers(first_seed: int, count: int) -> list[CaseLoader]:
    """One function per synthetic patient, as `case_loaders` gives for a folder."""
    return [partial(phantom_case, seed) for seed in range(first_seed, first_seed + count)]


def phantom_case(seed: int) -> LabeledCase:
    """A synthetic patient with all three sequences, written to files and read back."""
    import tempfile

    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    with tempfile.TemporaryDirectory() as folder:
        write_patient(generate_patient(seed, PhantomConfig(dropout=False)), Path(folder))
        (read,) = case_loaders(Path(folder))
        return replace(read(), dataset="phantom")
