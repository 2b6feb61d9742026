"""Structured logs of an update: one record per event, through Python's `logging`.

In JSON each record is one object on one line: `ts` (ISO 8601, UTC), `level`, `event` (such as
`epoch_committed`) and the event's own fields. In text the same facts are written as `key=value`.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, TextIO

from qanat.model.event import (
    DatasetEnded,
    DatasetPaused,
    DatasetProgress,
    Event,
    Recovered,
    Retried,
    RunFailed,
    RunLate,
    TableChecked,
    UpdateEnded,
    Warned,
    facts_of,
    kind_of,
)

LOGGER = "qanat"


class LogsObserver:
    """Sends every event to the logger `qanat`; a program may attach its own handlers there."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)

    def on(self, event: Event) -> None:
        """Log one event, unless its level is disabled."""
        level = level_of(event)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, kind_of(event), extra={"fields": facts_of(event)})


def level_of(event: Event) -> int:
    """The `logging` level of an event, from DEBUG for progress to ERROR for failures."""
    match event:
        case (
            DatasetEnded(status="failed") | UpdateEnded(status="failed") | RunFailed() | RunLate()
        ):
            return logging.ERROR
        case DatasetEnded(status="skipped") | DatasetPaused() | Recovered() | Retried() | Warned():
            return logging.WARNING
        case TableChecked() if any(rule.broken for rule in event.rules):
            return logging.WARNING
        case DatasetProgress():
            return logging.DEBUG
    return logging.INFO


class JsonFormatter(logging.Formatter):
    """One JSON object per record, in ASCII: safe for every terminal and collector."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        return json.dumps(_facts(record), default=str)


class TextFormatter(logging.Formatter):
    """`time LEVEL event key=value …`; values with spaces or special characters are JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        facts = _facts(record)
        head = f"{facts.pop('ts')} {facts.pop('level').upper():7} {facts.pop('event')}"
        return " ".join([head, *(f"{k}={_value(v)}" for k, v in facts.items())])


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    facts: dict[str, Any] = {
        "ts": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
    }
    facts.update(getattr(record, "fields", {}))
    if record.exc_info:
        facts["traceback"] = logging.Formatter().formatException(record.exc_info)
    return facts


def _value(value: Any) -> str:
    text = json.dumps(value, default=str)
    plain = isinstance(value, str) and re.fullmatch(r"[\w./:+-]+", value, re.ASCII)
    return value if plain else text


def to_stream(stream: TextIO, format: str, level: str) -> LogsObserver:
    """An observer that writes its records to a stream.

    A second call replaces the handler of the first, so that records are not written twice.

    Args:
        stream: where the lines are written.
        format: `text` or `json`.
        level: the lowest level to write: `debug`, `info`, `warning` or `error`.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logger = logging.getLogger(LOGGER)
    for old in [
        h for h in logger.handlers if isinstance(h.formatter, JsonFormatter | TextFormatter)
    ]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    return LogsObserver()
