"""`qanat run --continuous`: keep the datasets up to date until a signal says stop."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType

from qanat.cli import screen
from qanat.cli.interrupt import CURSOR
from qanat.cli.options import Logs
from qanat.errors import QanatError
from qanat.frozen import Frozen
from qanat.model.event import DatasetProgress, Event, facts_of, kind_of
from qanat.ports.observer import Observer
from qanat.project import Project, Update
from qanat.report.keys import moment


class Signals(Frozen):
    """What signals ask for: to stop (SIGINT, SIGTERM), to read the project again (SIGHUP)."""

    stop: threading.Event
    reload: threading.Event


def run(
    project: Project,
    select: tuple[str, ...],
    wait: float | bool,
    logs: Logs,
    as_json: bool,
    metrics: tuple[str, int] | None,
) -> Update:
    """Keep datasets up to date, and show what comes of it meanwhile."""
    live = not as_json and not logs.wanted and screen.interactive(sys.stderr)
    with (
        _serving(metrics) as served,
        listening(live) as signals,
        _watching(logs, as_json, live, signals.stop) as shown,
    ):
        observers = (*served, *shown)
        return project.run_continuously(
            select, stop=signals.stop, reload=signals.reload, wait=wait, observers=observers
        )


@contextmanager
def listening(live: bool = False) -> Iterator[Signals]:
    """For as long as the block lasts, signals ask instead of ending the process.

    A second SIGINT or SIGTERM ends it at once; what was under way is recovered later. SIGHUP asks
    to stop where it comes from a terminal that was closed.

    Args:
        live: True if a live view says that the update is stopping. It redraws its lines in place,
            so a line of another writer would push them down and be erased itself.
    """
    signals = Signals(threading.Event(), threading.Event())
    on_terminal = sys.stderr.isatty()

    def stop(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            if before[each] is not signal.SIG_IGN:
                signal.signal(each, signal.SIG_DFL)
        again = "press Ctrl-C again" if number == signal.SIGINT else "send the signal again"
        text = f"\nStopping: what has begun is published; {again} to end at once.\n"
        signals.stop.set()
        # Who read it may have left.
        with suppress(OSError):
            # Not by `print`: this may have interrupted another one.
            os.write(sys.stderr.fileno(), (CURSOR if live else text).encode())

    def reload(number: int, frame: FrameType | None) -> None:
        # A terminal that was closed is none any more.
        hung_up = on_terminal and not os.isatty(sys.stderr.fileno())
        (signals.stop if hung_up else signals.reload).set()

    wanted = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: reload}
    before = {number: signal.getsignal(number) for number in wanted}
    for number, handler in wanted.items():
        # What a shell runs in the background ignores Ctrl-C, and what `nohup` runs SIGHUP.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield signals
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class JsonLines:
    """Writes each event as one line of JSON to standard output, but for progress.

    If what it goes to (a full disk) does not take it, that is told once; the update goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def on(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, DatasetProgress):
            return
        facts = {"ts": moment(time.time()), "event": kind_of(event), **facts_of(event)}
        line = json.dumps(facts, default=str)
        with self._lock:
            try:
                screen.write(line)
            except QanatError as error:
                # From now on `screen` lets what is written vanish.
                screen.note(f"warning: {error.message}; no more events are written")


@contextmanager
def _watching(
    logs: Logs, as_json: bool, live: bool, stop: threading.Event
) -> Iterator[tuple[Observer, ...]]:
    observers: tuple[Observer, ...] = (JsonLines(),) if as_json else ()
    terminal = "qanat.observe.terminal.continuous"
    if logs.wanted:
        to_stream = import_module("qanat.observe.logs").to_stream
        yield (*observers, to_stream(sys.stderr, logs.format or "text", logs.level or "info"))
    elif as_json:
        yield observers
    elif live:
        view = import_module(terminal).ContinuousView
        with view(sys.stderr, colour=screen.coloured(sys.stderr), stop=stop) as observer:
            yield (observer,)
    else:
        yield (import_module(terminal).ContinuousLines(sys.stderr),)


@contextmanager
def _serving(metrics: tuple[str, int] | None) -> Iterator[tuple[Observer, ...]]:
    if metrics is None:
        yield ()
        return
    host, port = metrics
    with import_module("qanat.observe.metrics").MetricsObserver(port, host) as observer:
        screen.note(f"metrics: http://{host}:{observer.port}/metrics")
        yield (observer,)
