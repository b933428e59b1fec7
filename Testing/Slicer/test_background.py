"""Background work: one thread, results taken over by poll() on the main thread alone."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from myops.errors import InputError
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task, inWords
from MyoPSSegmenterLib.Runtime.Events import Events

TIMEOUT_S = 20.0


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def work(events):
    background = BackgroundWork(events)
    yield background
    background.close()


class Gate:
    """Work that waits until it is let go, and tells how it was canceled."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()
        self.sawCancel = False

    def __call__(self, progress, cancelled):
        self.begun.set()
        while not self.open.wait(0.005):
            if cancelled():
                self.sawCancel = True
                raise RuntimeError("stopped in the middle")
        return "passed"


def begunGate(work, **arguments):
    gate = Gate()
    task = work.submit("gate", gate, **arguments)
    assert gate.begun.wait(TIMEOUT_S)
    return gate, task


def test_a_function_runs_in_another_thread_and_its_result_arrives_on_this_one(work):
    threads = {}

    def function(progress, cancelled):
        threads["function"] = threading.current_thread()
        return 42

    def done(result):
        threads["done"] = threading.current_thread()
        threads["result"] = result

    task = work.waitFor(work.submit("count", function, done), TIMEOUT_S)
    assert task.state == "done" and task.result == 42 and threads["result"] == 42
    assert threads["function"] is not threading.current_thread() is threads["done"]


def test_nothing_is_called_back_before_poll(work):
    called = []
    task = work.submit("quick", lambda progress, cancelled: 1, called.append)
    end = time.monotonic() + TIMEOUT_S
    while work._queue.isWorking and time.monotonic() < end:
        time.sleep(0.005)
    assert called == [] and task.state == "running" and work.running is task
    work.poll()
    assert called == [1] and task.state == "done" and work.running is None


def test_tasks_run_in_the_order_they_came_unless_one_goes_first(work):
    order = []
    gate, _ = begunGate(work)
    for name in ("a", "b"):
        work.submit(name, lambda progress, cancelled, name=name: order.append(name))
    work.submit("urgent", lambda progress, cancelled: order.append("urgent"), first=True)
    gate.open.set()
    work.waitForAll(TIMEOUT_S)
    assert order == ["urgent", "a", "b"]


def test_a_newer_task_of_the_same_key_replaces_one_that_waits_but_not_one_that_runs(work):
    results = []
    gate, running = begunGate(work, done=results.append, replaces="save")
    first = work.submit("first", lambda *_: "first", results.append, replaces="save")
    second = work.submit("second", lambda *_: "second", results.append, replaces="save")
    other = work.submit("other", lambda *_: "other", results.append)
    gate.open.set()
    work.waitForAll(TIMEOUT_S)
    assert results == ["passed", "second", "other"]
    assert [t.state for t in (running, first, second, other)] == [
        "done",
        "cancelled",
        "done",
        "done",
    ]


def test_an_error_goes_to_failed_and_a_message_tells_of_one_that_nobody_handles(work, events):
    messages, errors = [], []
    events.connect("message", lambda text, level: messages.append((text, level)))

    def refuse(progress, cancelled):
        raise InputError("expected a heart, found none")

    handled = work.submit("Segmentation", refuse, failed=errors.append)
    unhandled = work.submit("Segmentation", refuse)
    work.waitForAll(TIMEOUT_S)
    assert handled.state == unhandled.state == "failed"
    assert [str(error) for error in errors] == ["expected a heart, found none"]
    assert messages == [("Segmentation: expected a heart, found none", "error")]


def test_an_error_while_taking_over_counts_as_failed(work):
    errors = []

    def broken(result):
        raise InputError("expected a node, found none")

    task = work.submit("publish", lambda *_: 1, broken, errors.append)
    work.waitFor(task, TIMEOUT_S)
    assert task.state == "failed" and task.result is None
    assert len(errors) == 1 and task.error is errors[0]


def test_an_error_of_a_failure_handler_does_not_keep_other_results_from_arriving(work):
    results = []

    def broken(error):
        raise ValueError("handler")

    work.submit("bad", lambda *_: 1 / 0, failed=broken)
    work.submit("good", lambda *_: "good", results.append)
    end = time.monotonic() + TIMEOUT_S
    while work._queue.isWorking and time.monotonic() < end:
        time.sleep(0.005)
    with pytest.raises(ValueError, match="handler"):
        work.poll()
    assert results == ["good"]


def test_an_unexpected_error_is_put_in_words():
    assert inWords(InputError("expected a, found b")) == "expected a, found b"
    assert inWords(KeyError("x")).startswith("unexpected KeyError: 'x'.")


def test_cancel_stops_the_function_and_drops_whatever_it_raises_or_returns(work):
    called = []
    gate, task = begunGate(work, done=called.append, failed=called.append)
    work.cancel(task)
    assert task.state == "cancelled" and work.running is None
    work.waitForAll(TIMEOUT_S)
    assert gate.sawCancel and called == [] and task.state == "cancelled" and task.result is None


def test_a_result_that_is_ready_is_dropped_when_canceled_before_poll(work):
    called = []
    task = work.submit("ready", lambda *_: 1, called.append)
    end = time.monotonic() + TIMEOUT_S
    while work._queue.isWorking and time.monotonic() < end:
        time.sleep(0.005)
    work.cancel(task)
    work.poll()
    assert called == [] and task.state == "cancelled"


def test_cancel_without_a_task_cancels_what_runs_and_what_waits(work):
    called = []
    _, running = begunGate(work, done=called.append)
    waiting = work.submit("waiting", lambda *_: 1, called.append)
    work.cancel()
    work.waitForAll(TIMEOUT_S)
    assert called == [] and running.state == waiting.state == "cancelled"


def test_canceling_what_is_done_changes_nothing(work):
    task = work.waitFor(work.submit("done", lambda *_: 1), TIMEOUT_S)
    work.cancel(task)
    assert task.state == "done" and task.result == 1


def test_progress_is_seen_and_gives_the_remaining_time():
    task = Task("count", lambda *_: None)
    assert task.remainingSeconds is None
    task._begin()
    assert task.remainingSeconds is None
    task._began -= 2.0  # two seconds for a quarter: six remain
    task._progress(0.25, "heart finder")
    assert task.fraction == 0.25 and task.stage == "heart finder"
    assert task.remainingSeconds == pytest.approx(6.0, abs=0.2)
    task._progress(7, "beyond")
    assert task.fraction == 1.0 and task.remainingSeconds == pytest.approx(0.0, abs=0.1)


def test_poll_emits_work_when_something_changed_and_only_then(work, events):
    told = []
    events.connect("work", lambda: told.append(work.running and work.running.stage))
    step, go = threading.Event(), threading.Event()

    def function(progress, cancelled):
        progress(0.5, "half")
        step.set()
        go.wait(TIMEOUT_S)

    task = work.submit("steps", function)
    assert step.wait(TIMEOUT_S)
    work.poll()
    work.poll()
    assert told[-1] == "half" and told.count("half") == 1
    go.set()
    work.waitFor(task, TIMEOUT_S)
    assert told[-1] is None


def test_poll_gives_the_thread_time_and_returns_early_when_the_work_ends(work):
    gate, task = begunGate(work)
    began = time.monotonic()
    work.poll(giveMs=50)
    assert time.monotonic() - began >= 0.045
    gate.open.set()
    began = time.monotonic()
    work.poll(giveMs=5000)
    assert task.state == "done" and time.monotonic() - began < 4
    began = time.monotonic()
    work.poll(giveMs=200)  # nothing to wait for
    assert time.monotonic() - began < 0.15


def test_functions_are_called_at_every_poll_until_disconnected(work):
    calls = []
    disconnect = work.whenPolled(lambda: calls.append(1))
    work.poll()
    work.poll()
    disconnect()
    disconnect()
    work.poll()
    assert len(calls) == 2


def test_a_poll_inside_a_poll_does_nothing(work):
    depth = []

    def nested():
        depth.append(1)
        work.poll()

    work.whenPolled(nested)
    work.poll()
    assert depth == [1]


def test_a_callback_may_submit_more_work(work):
    results = []

    def again(result):
        results.append(result)
        if result < 3:
            work.submit("again", lambda *_: result + 1, again)

    work.submit("first", lambda *_: 1, again)
    work.waitForAll(TIMEOUT_S)
    assert results == [1, 2, 3]


def test_a_callback_may_wait_for_another_task_even_one_that_ended_already(work):
    order = []

    def done(_):
        work.waitFor(later, TIMEOUT_S)
        order.append("first")

    first = work.submit("first", lambda *_: 1, done)
    later = work.submit("later", lambda *_: 2, lambda _: order.append("later"))
    while work._queue.isWorking:
        time.sleep(0.005)
    work.poll()
    assert order == ["later", "first"] and first.state == later.state == "done"
    third = work.submit("third", lambda *_: 3, lambda _: work.waitFor(gateTask, TIMEOUT_S))
    gate, gateTask = Gate(), None
    gate.open.set()
    gateTask = work.submit("fourth", gate)
    work.waitFor(third, TIMEOUT_S)
    assert gateTask.state == "done"


def test_waiting_has_an_end(work):
    gate, task = begunGate(work)
    with pytest.raises(TimeoutError, match="gate"):
        work.waitFor(task, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        work.waitForAll(timeout_s=0.05)
    gate.open.set()


def test_close_ends_the_thread_and_calls_nothing_back(events):
    work = BackgroundWork(events)
    called = []
    _, task = begunGate(work, done=called.append, failed=called.append)
    thread = work._thread
    work.close()
    assert not thread.is_alive() and task.state == "cancelled" and called == []
    work.poll()
    work.close()
    with pytest.raises(RuntimeError, match="closed"):
        work.submit("late", lambda *_: None)
    assert called == []


def test_a_forgotten_object_ends_its_thread():
    work = BackgroundWork()
    work.waitFor(work.submit("quick", lambda *_: None), TIMEOUT_S)
    thread, alive = work._thread, weakref.ref(work)
    del work
    gc.collect()
    thread.join(TIMEOUT_S)
    assert alive() is None and not thread.is_alive()


def test_listeners_hear_a_topic_until_they_disconnect(events):
    heard = []
    disconnect = events.connect("labels", lambda labels: heard.append(labels))
    events.emit("labels", labels=1)
    disconnect()
    disconnect()
    events.emit("labels", labels=2)
    assert heard == [1] and events.listeners == 0


def test_a_listener_that_fails_is_noted_and_the_others_still_hear(events):
    heard = []

    def broken():
        raise ValueError("cannot draw")

    events.connect("study", broken)
    events.connect("study", lambda: heard.append(1))
    events.emit("study")
    assert heard == [1] and [str(error) for error in events.failures] == ["cannot draw"]


def test_a_listener_that_was_disconnected_by_another_one_is_not_called(events):
    heard = []
    later = []
    events.connect("study", lambda: later[0]())
    later.append(events.connect("study", lambda: heard.append(1)))
    events.emit("study")
    assert heard == []


def test_the_same_function_connected_twice_is_two_connections(events):
    heard = []
    first = events.connect("study", heard.append)
    listener = lambda: heard.append(1)  # noqa: E731
    first()
    one, _ = events.connect("study", listener), events.connect("study", listener)
    one()
    events.emit("study")
    assert heard == [1]


def test_unknown_topics_are_refused(events):
    with pytest.raises(ValueError, match="topic"):
        events.emit("label")
    with pytest.raises(ValueError, match="topic"):
        events.connect("label", print)
