"""History: undo and redo give the whole segmentation back, and cost little memory."""

from __future__ import annotations

import numpy as np
import pytest
from circle_heart import circle_labels

from myops.errors import InputError
from myops.refine.history import History


def with_scar(labels, row, column):
    changed = labels.copy()
    changed[2, row, column] = 2221
    return changed


def three_states():
    first = circle_labels()
    second = with_scar(first, 64, 48)
    return first, second, with_scar(second, 65, 48)


def test_undo_and_redo_walk_through_the_states_voxel_for_voxel():
    first, second, third = three_states()
    history = History(first, "a")
    history.record("one", second, "b")
    history.record("two", third, "c")
    for labels, companion in ((second, "b"), (first, "a")):
        found, kept = history.undo()
        np.testing.assert_array_equal(found, labels)
        assert found.dtype == np.uint16 and kept == companion
    for labels, companion in ((second, "b"), (third, "c")):
        found, kept = history.redo()
        np.testing.assert_array_equal(found, labels)
        assert kept == companion


def test_the_names_say_what_undo_and_redo_would_do():
    first, second, third = three_states()
    history = History(first, None)
    history.record("scar +", second, None)
    history.record("edema -", third, None)
    assert (history.undo_name, history.redo_name) == ("edema -", None)
    assert history.names == ("scar +", "edema -")
    history.undo()
    assert (history.undo_name, history.redo_name) == ("scar +", "edema -")
    history.undo()
    assert (history.undo_name, history.redo_name) == (None, "scar +")
    assert history.names == ()


def test_a_new_step_drops_what_was_undone():
    first, second, third = three_states()
    history = History(first, 0)
    history.record("one", second, 1)
    history.undo()
    history.record("other", third, 2)
    assert history.redo_name is None
    found, companion = history.undo()
    np.testing.assert_array_equal(found, first)
    assert companion == 0


def test_undo_at_the_start_and_redo_at_the_end_are_refused():
    history = History(circle_labels(), None)
    with pytest.raises(InputError, match="a step to undo, found none"):
        history.undo()
    with pytest.raises(InputError, match="a step to redo, found none"):
        history.redo()


def test_only_the_newest_steps_are_kept():
    labels = circle_labels()
    history = History(labels, 0, limit=3)
    for number in range(1, 6):
        labels = with_scar(labels, 60, 40 + number)
        history.record(f"step {number}", labels, number)
    assert history.names == ("step 3", "step 4", "step 5")
    assert [history.undo()[1] for _ in range(3)] == [4, 3, 2]
    assert history.undo_name is None


def test_changing_an_array_afterwards_does_not_change_the_history():
    first, second, _ = three_states()
    history = History(first, None)
    history.record("one", second, None)
    expected = first.copy()
    first[:] = 0
    found, _ = history.undo()
    found[:] = 7
    history.redo()
    np.testing.assert_array_equal(history.undo()[0], expected)


def test_a_large_map_costs_a_few_kilobytes_and_a_step_about_one():
    labels = np.zeros((20, 256, 256), np.uint16)
    labels[:, 80:176, 80:176] = circle_labels()[2]
    history = History(labels, None)
    start_bytes = history.packed_bytes
    assert start_bytes < 30_000  # 2.6 MB uncompressed
    for step in range(100):
        labels = with_scar(labels, 140 + step % 5, 120 + step // 5)
        history.record("scar +", labels, None)
    assert history.packed_bytes - start_bytes < 100 * 2000
