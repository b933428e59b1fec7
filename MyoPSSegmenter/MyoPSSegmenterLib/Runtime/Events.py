"""What the parts of the module tell each other: topics, and who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

TOPICS = frozenset(
    {
        "patient",  # volumes or case changed
        "checks",  # the sequences were compared
        "work",  # a background task began, went on or ended
        "automatic",  # an automatic segmentation began, ended or was canceled
        "labels",  # the label map changed: labels=uint16 (z, y, x) or None
        "prompts",  # structure, polarity, rules, or the shown prompts changed
        "history",  # what can be undone and redone changed
        "proposal",  # a proposal is shown or gone
        "numbers",  # masses changed
        "measurements",  # everything measured, or stale
        "study",  # the case list, a status or the time spent changed
        "message",  # text=..., level="info", "warning" or "error"
        "clear",  # all is gone: the scene was closed
    }
)


class Events:
    """Topics with listeners; everything happens on the main thread.

    Attributes:
        failures: errors of listeners so far, for tests.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[..., object]]] = {}
        self.failures: list[Exception] = []

    def connect(self, topic: str, callback: Callable[..., object]) -> Callable[[], None]:
        """Listen to a topic.

        Args:
            topic: one of `TOPICS`.
            callback: gets the values of `emit` by name; who came first hears first.

        Returns:
            A function that ends the listening; it may be called again without harm.

        Raises:
            ValueError: unknown topic.
        """
        self._check(topic)
        listeners = self._listeners.setdefault(topic, [])
        # Wrapped, so that two connections of the same function stay two.
        listener = _Listener(callback)
        listeners.append(listener)

        def disconnect() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return disconnect

    def emit(self, topic: str, **values: Any) -> None:
        """Tell all listeners.

        A listener that fails is logged: a panel that cannot draw must not undo what was done.

        Raises:
            ValueError: unknown topic.
        """
        self._check(topic)
        listeners = self._listeners.get(topic, [])
        for listener in tuple(listeners):
            if listener not in listeners:  # disconnected by another one meanwhile
                continue
            try:
                listener(**values)
            except Exception as error:
                self.failures.append(error)
                logger.exception("A listener to %r failed", topic)

    def message(self, text: str, level: str = "info") -> None:
        """Show the user a sentence: emits "message"."""
        self.emit("message", text=text, level=level)

    def clear(self) -> None:
        """Forget all listeners."""
        for listeners in self._listeners.values():
            listeners.clear()

    @property
    def listeners(self) -> int:
        """How many connections there are; tests look for forgotten ones."""
        return sum(len(listeners) for listeners in self._listeners.values())

    def _check(self, topic: str) -> None:
        if topic not in TOPICS:
            raise ValueError(f"expected a topic among {', '.join(sorted(TOPICS))}, found {topic!r}")


class _Listener:
    """One connection: the same function connected twice is two of them."""

    def __init__(self, callback: Callable[..., object]) -> None:
        self._callback = callback

    def __call__(self, **values: Any) -> object:
        return self._callback(**values)
