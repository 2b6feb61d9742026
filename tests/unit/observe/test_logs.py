"""Structured logs."""

from __future__ import annotations

import io
import json

from qanat.model.event import DatasetEnded, DatasetProgress, EpochCommitted, UpdateStarted
from qanat.model.staged import Counts, RuleCount
from qanat.observe.logs import to_stream

EPOCH = EpochCommitted(
    "silver",
    "silver",
    3,
    2,
    Counts(out=3, written=3),
    (RuleCount("silver", "r", "warn", 1),),
    0,
    0.5,
)


def test_json_is_one_object_per_line() -> None:
    stream = io.StringIO()
    logs = to_stream(stream, "json", "info")
    logs.on(UpdateStarted("u1", "dev", ("silver",)))
    logs.on(EPOCH)
    logs.on(DatasetProgress("silver", "not at this level"))
    logs.on(DatasetEnded("silver", "failed", "bad\nnews \u202e", 0.5))
    started, epoch, ended = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (started["event"], started["level"]) == ("update_started", "info")
    assert started["datasets"] == ["silver"]
    assert epoch["counts"]["written"] == 3
    assert epoch["rules"][0]["violations"] == 1
    assert (ended["level"], ended["reason"]) == ("error", "bad\nnews \u202e")
    assert started["ts"].endswith("Z")


def test_text_is_one_line_per_event() -> None:
    stream = io.StringIO()
    logs = to_stream(stream, "text", "debug")
    logs.on(DatasetProgress("silver", "half\x1b[2J way", 0.5))
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(
        r'dataset_progress dataset=silver message="half\u001b[2J way" fraction=0.5 paused=false'
    )


def test_only_the_newest_stream_gets_the_records() -> None:
    first, second = io.StringIO(), io.StringIO()
    to_stream(first, "json", "info")
    to_stream(second, "json", "info").on(EPOCH)
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
