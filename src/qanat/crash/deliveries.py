"""What the sinks of a project hold, epoch by epoch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from qanat.crash.question import ask
from qanat.model.dataset import SinkTarget
from qanat.run.session import Session

_STAGING = ".qanat"
_EPOCH = re.compile(r"(?P<flow>.+)-(?P<number>\d{10,})(-0\..+)?")
_CUT = re.compile(r"(?P<begin>.+)~[0-9a-f]{16}")
_SEPARATORS = ("delimiter", "delim", "sep")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file, or one folder of files, that a sink has published.

    Args:
        name: in the sink's folder.
    """

    name: str
    files: tuple[Path, ...]

    def is_of(self, flow: str, number: int) -> bool:
        """Whether it is a flow's epoch.

        >>> Delivery("my%2Fflow-0000000012-0.csv", ()).is_of("my/flow", 12)
        True
        """
        found = _EPOCH.fullmatch(self.name)
        if found is None or int(found["number"]) != number:
            return False
        # Long names are cut, and end in a digest.
        cut = _CUT.fullmatch(found["flow"])
        whole = quote(flow, safe=" ")
        return unquote(found["flow"]) == flow or bool(cut and whole.startswith(cut["begin"]))


def sinks(session: Session) -> list[tuple[str, SinkTarget]]:
    """The sinks of a project and where they write."""
    return [(d.name, d.sink) for d in session.pipeline.datasets if d.sink is not None]


def sink_folder(session: Session, target: SinkTarget) -> Path:
    """The folder that a sink writes into."""
    path = next(v for k, v in target.options if k.casefold() == "path")
    return session.project.root / Path(path).expanduser()


def sent(session: Session, target: SinkTarget) -> list[Path]:
    """The files that a sink has published."""
    folder = sink_folder(session, target)
    staging = folder / _STAGING
    return [p for p in folder.rglob("*") if p.is_file() and staging not in p.parents]


def deliveries(session: Session, target: SinkTarget) -> list[Delivery]:
    """The files that a sink has published, those of an epoch together."""
    folder = sink_folder(session, target)
    by_name: dict[str, list[Path]] = {}
    for path in sorted(sent(session, target)):
        by_name.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return [Delivery(name, tuple(files)) for name, files in by_name.items()]


def lines(target: SinkTarget, files: Sequence[Path]) -> str:
    """A query for the column `line`, the rows in files as text, and `filename`."""
    listed = _listed(files)
    if target.format.casefold() == "parquet":
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
    """How many rows there are in each file; those without any are left out."""
    if not files:
        return {}
    query = lines(target, files)
    if target.format.casefold() == "csv":
        # A value may have several lines, and a header is no row.
        given = {k.replace("_", "").casefold(): v for k, v in target.options}
        header = given.get("header", "true").casefold() in ("true", "yes", "1")
        separator = next((given[k] for k in _SEPARATORS if k in given), ",")
        quoted = {"delim": separator, **{k: given.get(k, '"') for k in ("quote", "escape")}}
        options = ", ".join(f"{k} = {_text(v)}" for k, v in quoted.items())
        query = (
            f"SELECT filename FROM read_csv([{_listed(files)}], header = {header}, {options},"
            " all_varchar = true, union_by_name = true, filename = true)"
        )
    text = f"SELECT filename, count(*) FROM ({query}) GROUP BY filename"
    return {name: int(count) for name, count in ask(session, text, {})}


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(_text(str(f)) for f in files)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
