"""The events of an update, from its log lines into the log of an orchestrator's task."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Log: TypeAlias = Callable[[int, str], None]
"""Takes a level of `logging` and a line."""

_LEVELS = {"debug": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}
_HEAD = ("ts", "level", "event", "dataset", "rules", "windows")


def tell(line: str, log: Log) -> bool:
    """Log one line that an update wrote; False if it is no event but something else's output.

    >>> tell('{"level": "info", "event": "dataset_ended", "dataset": "gold", "status": "updated"}',
    ...      lambda level, text: print(level, text))
    20 dataset_ended gold status=updated
    True
    """
    event = _event(line)
    if event is None:
        if line.strip():
            log(logging.INFO, line.rstrip())
        return False
    level = _LEVELS.get(str(event["level"]), logging.INFO)
    log(level, " ".join([str(event["event"]), *_words(event)]))
    for rule in event.get("rules") or ():
        if rule.get("violations"):
            what = f"{rule['violations']:,} violations of {rule['rule']}: {rule['action']}"
            log(logging.WARNING, f"{event.get('dataset', '')}: {what}")
    return True


def _event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found and "level" in found else None


def _words(event: Mapping[str, Any]) -> Iterator[str]:
    """What is worth a word: no empty values, and of counts only those that count something."""
    if event.get("dataset"):
        yield str(event["dataset"])
    for key, value in event.items():
        if key in _HEAD:
            continue
        if isinstance(value, dict):
            yield from (f"{name}={number}" for name, number in value.items() if number)
        elif isinstance(value, list):
            yield f"{key}={','.join(map(str, value))}"
        elif isinstance(value, float):
            yield f"{key}={value:.3g}"
        elif value not in (None, ""):
            yield f"{key}={value}"
