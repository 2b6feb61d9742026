"""What became of an update that an orchestrator has started."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from qanat.errors import DeclarationError, QanatError, UpdateFailedError, UpdateRunningError
from qanat.frozen import Frozen

_NUMBERS = (
    *("status", "reason", "read", "files", "out", "written", "dropped", "quarantined"),
    *("malformed", "inserted", "updated", "deleted", "late", "seconds", "version"),
)


class Outcome(Frozen):
    """What an update did.

    Args:
        code: the exit code: 0 fine, 1 data or a run failed, 2 the author must change something.
        document: that it printed, as `qanat run --output json` has it; empty if there is none.
        error: why it failed, with all reasons in its message; None if it did not. Its attribute
            `exit_code` is 2 if trying again cannot help.
    """

    code: int
    document: Mapping[str, Any] = field(default_factory=dict)
    error: QanatError | None = None

    @property
    def datasets(self) -> Sequence[Mapping[str, Any]]:
        """What it did with each dataset; see `UpdatedDataset` in the reference."""
        found: Sequence[Mapping[str, Any]] = self.document.get("datasets", ())
        return found

    @property
    def update(self) -> str | None:
        """The update's identity in the history; None if nothing had to be written."""
        return self.document.get("update")

    @property
    def numbers(self) -> dict[str, dict[str, Any]]:
        """By dataset, what is worth keeping: rows, seconds, table version, violations.

        >>> gold = {"dataset": "gold", "status": "updated", "written": 3, "rules": []}
        >>> Outcome(0, {"update": "u1", "datasets": [gold]}).numbers
        {'gold': {'status': 'updated', 'written': 3, 'update': 'u1', 'violations': {}}}
        """
        return {
            d["dataset"]: {
                **{key: d[key] for key in _NUMBERS if key in d},
                "update": self.update,
                "violations": {r["rule"]: r["violations"] for r in d["rules"]},
            }
            for d in self.datasets
        }


def outcome_of(code: int, printed: str, rest: str) -> Outcome:
    """The outcome of a process that has ended.

    Args:
        code: its exit code; negative: the signal that ended it.
        printed: its standard output.
        rest: what else it said, for an update that printed no document.
    """
    try:
        document = json.loads(printed)
    except ValueError:
        document = {}
    if code == 0 and document:
        return Outcome(code, document)
    return Outcome(code, document, _error(code, document, rest))


def _error(code: int, document: Mapping[str, Any], rest: str) -> QanatError:
    reasons = list(_reasons(document))
    if not reasons:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        reasons = [f"qanat {ended}", *rest.splitlines()[-20:]]
    text = "\n".join(reasons)
    if document.get("error", {}).get("code") == UpdateRunningError.code:
        return UpdateRunningError(text)
    return (
        DeclarationError(text) if code == DeclarationError.exit_code else UpdateFailedError(text)
    )


def _reasons(document: Mapping[str, Any]) -> Iterator[str]:
    """Why something failed, one text for each problem."""
    for problem in document.get("problems") or [document.get("error")]:
        if problem:
            yield _sentence(problem)
    for dataset in document.get("datasets", ()):
        if dataset.get("status") == "failed":
            problems = dataset.get("problems") or [dataset.get("error")]
            said = [_sentence(problem) for problem in problems if problem]
            yield from (f"{dataset['dataset']}: {each}" for each in said or [dataset["reason"]])


def _sentence(problem: Mapping[str, Any]) -> str:
    where = ":".join(str(problem[k]) for k in ("file", "line", "column") if problem.get(k))
    text = f"{where}: {problem['message']}" if where else str(problem["message"])
    lines = [f"{problem['error']} ({problem['code']}): {text}"]
    lines += [f"  {key}: {problem[key]}" for key in ("wanted", "got", "hint") if problem.get(key)]
    return "\n".join(lines)
