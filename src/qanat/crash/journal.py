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
        if head == {"key": key}:
            found = (Verdict.from_json(line) for line in lines)
            self.verdicts = {v.case: v for v in found}
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")

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
