"""SIGTERM and Ctrl-C while a run writes: kept until the present commit is done, then obeyed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class RunStopped(BaseException):
    """The run was asked to stop, and did so between two commits. Not an `Exception`: no one may swallow it."""


class Stop:
    """Whether a signal has come in; `check` is called wherever stopping leaves nothing half done."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise RunStopped if a signal has come in."""
        if self.signal is not None:
            raise RunStopped(
                f"stopped by {signal.Signals(self.signal).name} between two commits; run it again to go on"
            )


@contextmanager
def between_commits() -> Iterator[Stop]:
    """Hold signals back inside the block. One that came in is delivered at its end, to whoever handled it before.

    Only the main thread is told of signals; in any other the block changes nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = number

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if stop.signal is not None:
            os.kill(os.getpid(), stop.signal)


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Make SIGTERM raise RunStopped, as Ctrl-C raises KeyboardInterrupt, for a command that runs in the foreground."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise RunStopped(f"stopped by {signal.Signals(number).name} between two commits; run it again to go on")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


Checkpoint = Callable[[], None]
