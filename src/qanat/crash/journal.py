"""The journal of verdicts on disk, with which an interrupted crash test continues."""

from __future__ import annotations

import json
from pathlib import Path

from qanat.crash.case import Verdict


class Journal:
    """A file with one verdict on each line.

    Args:
        path: the file; None keeps the verdicts in memory only.
        key: identifies what is tested; a journal with another key is started anew.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path = path
        self.verdicts: dict[str, Verdict] = {}
        if path is None:
            return
        head, *lines = _lines(path)
        if head != {"key": key}:
            lines = []
        # Rewrite the file without a half-written last line: the next verdict would be appended
        # to it.
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in ({"key": key}, *lines))
        path.write_text(text, encoding="utf-8")
        found = (Verdict.from_json(line) for line in lines)
        self.verdicts = {v.case: v for v in found}

    def add(self, verdict: Verdict) -> None:
        """Append a verdict."""
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
            break  # half-written when the test was interrupted: the case is tried again
    return found or [{}]
