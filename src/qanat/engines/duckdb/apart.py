"""Calls the project's functions in threads of their own, which need not be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from importlib import import_module
from typing import Any, TypeVar

from qanat.errors import AdapterError

Result = TypeVar("Result")

_TICK = 0.05
"""Seconds between two looks whether what was called is to be given up."""


def call_apart(call: Callable[[], Result], stopping: threading.Event) -> Result:
    """What a call returns, or raises; given up as soon as `stopping` is set.

    Python cannot end a thread that sleeps or computes in a C library. So the thread is left alone:
    what it returns then is not looked at, it ends at its next line of Python, and the process does
    not wait for it.

    Raises:
        AdapterError: it was given up.
    """
    future: Future[Result] = Future()
    context = copy_context()
    thread = threading.Thread(
        target=lambda: context.run(_settle, future, call), daemon=True, name="qanat-function"
    )
    thread.start()
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    while not done.wait(_TICK):
        if stopping.is_set():
            _end(thread)
            raise AdapterError("interrupted; nothing was published")
    return future.result()


def _settle(future: Future[Any], call: Callable[[], Any]) -> None:
    with suppress(SystemExit):
        try:
            future.set_result(call())
        except BaseException as error:
            # The thread that waits raises it; this one ends without a word.
            future.set_exception(error)
            raise SystemExit from error


def _end(thread: threading.Thread) -> None:
    """Have a thread raise `SystemExit` at its next line of Python: that ends it without a word."""
    ctypes = import_module("ctypes")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )
