"""The documents of `--output json`: one object per command, stable within `"version": 1`.

Later releases may add keys; they rename or remove none without a new version. Times are ISO 8601
in UTC, durations seconds, sizes bytes. An error is `{"version": 1, "error": {…}, "problems":
[{…}]}` with the facts of `ErrorFacts`; a command that fails after it had a result prints the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qanat.errors import ProblemsError, QanatError, nearest
from qanat.report import (
    account,
    anomalies,
    backtest,
    checks,
    diff,
    doctor,
    events,
    history,
    lineage,
    manifest,
    metrics,
    move,
    overview,
    pauses,
    plan,
    promotion,
    quarantine,
    schedules,
    state,
    suggest,
    table,
    unit_tests,
    update,
    upkeep,
    validation,
)
from qanat.report.keys import VERSION_KEY
from qanat.report.profile import document as profile
from qanat.report.schema import schema_of
from qanat.report.shape import Key, Shape, Shapes

FACTS = Shape(
    "ErrorFacts",
    QanatError,
    (
        *(Key(name, of=str) for name in ("code", "error", "message")),
        Key("file", of=str | None),
        *(Key(name, of=int | None) for name in ("line", "column")),
        *(Key(name, of=str | None) for name in ("wanted", "got", "nearest", "hint")),
    ),
    "What is known of an error. `code` is stable; `line` and `column` count from 1.",
)
FAILURE = Shape(
    "FailureDocument",
    ProblemsError,
    (VERSION_KEY, Key("error", of=QanatError), Key("problems", of=list[QanatError])),
    "A command that could not do its work. `problems` has all errors where there are several,"
    " `error` the first.",
)
INIT = Shape(
    "InitDocument",
    tuple[str, Sequence[str]],
    (
        VERSION_KEY,
        Key("folder", of=str, make=lambda written: written[0]),
        Key("files", of=list[str], make=lambda written: written[1]),
    ),
    "The folder of the new project and the files written, relative to it.",
)
DOCUMENTS: dict[str, Shape] = {
    "error": FAILURE,
    "init": INIT,
    "validation": validation.VALIDATION,
    "plan": plan.PLAN,
    "update": update.UPDATE,
    "test": checks.TEST,
    "recorded_test": unit_tests.RECORDED,
    "backtest": backtest.BACKTESTS,
    "suggest": suggest.DOCUMENT,
    "datasets": overview.DATASETS,
    "table": table.TABLE,
    "query": table.QUERY,
    "state": state.STATE,
    "lineage": lineage.LINEAGE,
    "manifest": manifest.MANIFEST,
    "diff": diff.DIFF,
    "profile": profile.PROFILE,
    "profiles": profile.PROFILES,
    "report": account.REPORT,
    "history": history.HISTORY,
    "events": events.EVENTS,
    "metrics": metrics.METRICS,
    "anomalies": anomalies.ANOMALIES,
    "quarantine": quarantine.LIST,
    "replay": quarantine.REPLAYS,
    "discard": quarantine.DISCARD,
    "export": quarantine.EXPORT,
    "move": move.MOVE,
    "promotion": promotion.PROMOTION,
    "maintenance": upkeep.MAINTENANCE,
    "pauses": pauses.PAUSES,
    "resumed": pauses.RESUMED,
    "schedules": schedules.SCHEDULES,
    "due_runs": schedules.DUE_RUNS,
    "doctor": doctor.DOCTOR,
}
"""What a command prints, by name; `qanat.crash` has one of its own."""
SHAPES = Shapes(
    *DOCUMENTS.values(),
    *plan.PARTS,
    promotion.DATASET,
    *update.PARTS,
    *checks.PARTS,
    *backtest.PARTS,
    *suggest.PARTS,
    *table.PARTS,
    *state.PARTS,
    *overview.PARTS,
    *lineage.PARTS,
    *manifest.PARTS,
    *diff.PARTS,
    *profile.PARTS,
    *account.PARTS,
    *history.PARTS,
    *events.PARTS,
    *anomalies.PARTS,
    *metrics.PARTS,
    *quarantine.PARTS,
    *validation.PARTS,
    *doctor.PARTS,
    *upkeep.PARTS,
    *pauses.PARTS,
    *schedules.PARTS,
)
"""Everything that may stand in a document."""


def document(name: str, value: Any) -> dict[str, Any]:
    """The document of a result, as `--output json` prints it.

    Args:
        name: of the document, a key of `DOCUMENTS`.
        value: what the function of `qanat.run` returned.

    >>> document("init", ("shop", ["qanat.yml"]))
    {'version': 1, 'folder': 'shop', 'files': ['qanat.yml']}
    """
    return SHAPES.write(DOCUMENTS[name], value)


def schema(name: str) -> dict[str, Any]:
    """The JSON schema (2020-12) of a document.

    Args:
        name: of the document: `update`, `plan`, `table`, …

    Raises:
        KeyError: there is no such document; names the nearest.

    >>> schema("init")["required"]
    ['version', 'folder', 'files']
    """
    if name not in DOCUMENTS:
        near = nearest(name, DOCUMENTS)
        raise KeyError(f"no document {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    json_schema = schema_of(DOCUMENTS[name], SHAPES, FACTS)
    if name == "error":
        json_schema["required"].remove("problems")
    return json_schema
