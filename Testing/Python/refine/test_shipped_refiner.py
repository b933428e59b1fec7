"""The shipped refiner on held-out synthetic patients: clicks help, and can be replayed."""

from __future__ import annotations

import numpy as np
import pytest

from myops import labels as regions
from myops.cascade.segment import segment
from myops.evaluation.simulated_reader import next_click
from myops.geometry.canonical import to_canonical
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.refine.record import from_record, to_record
from myops.refine.refiner import Refiner, load_refiner
from myops.refine.replay import replay
from myops.refine.rules import Rules
from myops.refine.session import Session
from myops.training.stages.refiner import patient_case
from myops.weights.files import load_models

# Any of the held-out patients; both have scar.
SEEDS = (900_004, 900_007)
CLICKS = 3
FREE = Rules(allow_blood_pool=True, keep_inside=False)


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


@pytest.fixture(scope="module", params=SEEDS)
def corrected(request):
    """Three simulated clicks in every slice of at least 20 scar pixels; session and truth."""
    patient = generate_patient(request.param, PhantomConfig(dropout=False))
    case = patient_case(patient)
    truth = regions.scar(to_canonical(patient.labels, case.original))
    start = segment(case, load_models("cpu"))
    session = Session(Refiner(load_refiner("cpu")), case, start, FREE)
    rng = np.random.default_rng(0)
    for z in np.flatnonzero(truth.sum(axis=(1, 2)) >= 20).tolist():
        for _ in range(CLICKS):
            point = next_click(regions.scar(session.labels[z]), truth[z], rng)
            if point is not None:
                session.click("scar", z, point.row, point.column, point.positive)
    return session, truth


@pytest.mark.slow
def test_three_clicks_a_slice_improve_the_scar(corrected):
    session, truth = corrected
    slices = np.flatnonzero(truth.sum(axis=(1, 2)) >= 20)
    scars = [regions.scar(found)[slices] for found in (session.start.labels, session.labels)]
    before, after = (
        np.mean([dice(mask, true) for mask, true in zip(scar, truth[slices], strict=True)])
        for scar in scars
    )
    assert after > before + 0.02


def test_slices_without_clicks_are_as_they_were(corrected):
    session, truth = corrected
    others = truth.sum(axis=(1, 2)) < 20
    assert np.array_equal(session.labels[others], session.start.labels[others])


@pytest.mark.slow
def test_the_session_is_replayed_voxel_for_voxel(corrected):
    session, _ = corrected
    record = from_record(to_record(session))
    made_again = replay(record, session.case, session.start, session.refiner)
    assert not made_again.differences
    assert np.array_equal(made_again.session.labels, session.labels)
