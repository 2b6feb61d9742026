"""The verdicts so far, on disk: a crash test that was interrupted goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

from qanat.crash.case import Verdict


class Journal:
    """A file with a verdict a line.

    Args:
        path: None to keep them in memory only.
        key: of what is tested; a journal of anything else is begun anew.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path = path
        self.verdicts: dict[str, Verdict] = {}
        if path is None:
            return
        head, *lines = _lines(path)
        if head != {"key": key}:
            lines = []
        # Written anew without what was cut short: it would spoil the next line.
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in ({"key": key}, *lines))
        path.write_text(text, encoding="utf-8")
        found = (Verdict.from_json(line) for line in lines)
        self.verdicts = {v.case: v for v in found}

    def add(self, verdict: Verdict) -> None:
        """Write a verdict down."""
        self.verdicts[verdict.case] = verdict
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(verdict.to_json()) + "\n")


def _lines(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return [{}]
    found: list[dict[str, object]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break  # cut short when it was interrupted: that case is tried again
    return found or [{}]
