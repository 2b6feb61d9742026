"""The files that a project's sinks have published, by epoch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from qanat.crash.question import ask
from qanat.frozen import Frozen
from qanat.model.adapter import folded
from qanat.model.name import Named
from qanat.model.pipeline import SinkTarget
from qanat.run.session import Session
from qanat.text import expanded, literal

_STAGING = ".qanat"
_EPOCH = re.compile(r"(?P<flow>.+)-(?P<number>\d{10,})(-0\..+)?")
_CUT = re.compile(r"(?P<begin>.+)~[0-9a-f]{16}")
_SEPARATORS = ("delimiter", "delim", "sep")


class Delivered(Frozen):
    """One file, or one folder of files, that a sink has published.

    Args:
        name: its name in the sink's folder.
        files: its files.
    """

    name: str
    files: tuple[Path, ...]

    def is_of(self, flow: str, number: int) -> bool:
        """True if it was published by the flow's epoch of that number.

        >>> Delivered("my%2Fflow-0000000012-0.csv", ()).is_of("my/flow", 12)
        True
        """
        found = _EPOCH.fullmatch(self.name)
        if found is None or int(found["number"]) != number:
            return False
        # The sink cuts long names and appends a digest, so only the beginning can be compared.
        cut = _CUT.fullmatch(found["flow"])
        whole = quote(flow, safe=" ")
        return unquote(found["flow"]) == flow or bool(cut and whole.startswith(cut["begin"]))


def sinks(session: Session) -> list[tuple[str, SinkTarget]]:
    """The names of a project's sinks, and where each writes."""
    return [(d.name, d.sink) for d in session.pipeline.datasets if d.sink is not None]


def sink_folder(session: Session, target: SinkTarget) -> Path | None:
    """The folder that a sink writes to; None if it writes elsewhere."""
    path = Named(target.options).get("path")
    return None if path is None else session.project.root / expanded(path)


def sent(session: Session, target: SinkTarget) -> list[Path]:
    """The files that a sink has published, without those it is still writing."""
    folder = sink_folder(session, target)
    if folder is None:
        return []
    staging = folder / _STAGING
    return [p for p in folder.rglob("*") if p.is_file() and staging not in p.parents]


def deliveries(session: Session, target: SinkTarget) -> list[Delivered]:
    """What a sink has published: one delivery for each epoch."""
    folder = sink_folder(session, target)
    if folder is None:
        return []
    by_name: dict[str, list[Path]] = {}
    for path in sorted(sent(session, target)):
        by_name.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return [Delivered(name, tuple(files)) for name, files in by_name.items()]


def lines(target: SinkTarget, files: Sequence[Path]) -> str:
    """SQL for all rows of a sink's files: the columns `line` (the row as text) and `filename`."""
    listed = _listed(files)
    if target.format.lower() == "parquet":
        return (
            f"SELECT CAST(f AS VARCHAR) AS line, filename FROM read_parquet([{listed}],"
            " filename = true) AS f"
        )
    return (
        f"SELECT line, filename FROM read_csv([{listed}], columns = {{'line': 'VARCHAR'}},"
        " delim = '\x01', quote = '', escape = '', header = false, auto_detect = false,"
        " filename = true)"
    )


def rows(session: Session, target: SinkTarget, files: Sequence[Path]) -> dict[str, int]:
    """The number of rows in each file, by path; files without rows are left out."""
    if not files:
        return {}
    query = lines(target, files)
    if target.format.lower() == "csv":
        # Lines are no rows in CSV: a value may span several lines, and the header is none.
        given = {folded(k): v for k, v in target.options}
        header = given.get("header", "true").lower() in ("true", "yes", "1")
        separator = next((given[k] for k in _SEPARATORS if k in given), ",")
        quoted = {"delim": separator, **{k: given.get(k, '"') for k in ("quote", "escape")}}
        options = ", ".join(f"{k} = {literal(v)}" for k, v in quoted.items())
        query = (
            f"SELECT filename FROM read_csv([{_listed(files)}], header = {header}, {options},"
            " all_varchar = true, union_by_name = true, filename = true)"
        )
    text = f"SELECT filename, count(*) FROM ({query}) GROUP BY filename"
    return {name: int(count) for name, count in ask(session, text, {})}


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(literal(str(f)) for f in files)
