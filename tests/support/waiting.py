"""Wait for a condition with a deadline. The only place in the project's tests with a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class GaveUpError(AssertionError):
    """A condition did not come true in time; the message says what was last seen."""


def until(
    condition: Callable[[], T],
    *,
    within_s: float,
    what: str = "",
    seen: Callable[[], object] | None = None,
    ignoring: tuple[type[Exception], ...] = (),
    every_s: float = 0.02,
) -> T:
    """Return the condition's first true value.

    Args:
        condition: called again and again; a value that is true ends the wait.
        within_s: seconds before giving up; the condition is tried at least once.
        what: the thing waited for, in words; the condition's own name otherwise.
        seen: what to tell when it gives up, where the condition is only true or false; it is
            called then. The condition's last value otherwise.
        ignoring: errors that mean "not yet"; any other is raised at once.
        every_s: seconds between two tries.

    Raises:
        GaveUpError: with the value or the ignored error that was seen last.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            value = condition()
        except ignoring as error:
            last = f"{type(error).__name__}: {error}"
        else:
            if value:
                return value
            last = repr(value)
        if time.monotonic() >= deadline:
            subject = what or getattr(condition, "__name__", repr(condition))
            last = last if seen is None else repr(seen())
            raise GaveUpError(f"waited {within_s:g} s for {subject}; last seen: {last}")
        time.sleep(every_s)


def still(
    condition: Callable[[], T],
    *,
    for_s: float,
    what: str = "",
    every_s: float = 0.02,
) -> None:
    """Watch a condition stay true for a while: how a test shows that something does *not* happen.

    Raises:
        GaveUpError: the first time the condition is not true.
    """
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        seen = condition()
        if not seen:
            subject = what or getattr(condition, "__name__", repr(condition))
            raise GaveUpError(f"{subject} did not stay true for {for_s:g} s; last seen: {seen!r}")
        time.sleep(every_s)
