"""What a look at all rows may be about: a table or a version of it, files, a query."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

from qanat import plugins
from qanat.declare.adhoc import parse_adhoc
from qanat.dialect import to_engine
from qanat.errors import Location, TableNotFoundError, located, nearest
from qanat.frozen import Frozen
from qanat.model.name import fold
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.side import dataset_of, is_state
from qanat.model.table import Snapshot
from qanat.model.work import Batch
from qanat.planning.lineage import dataset_of as planned
from qanat.ports.source import Neighbour
from qanat.run.neighbours import find_table
from qanat.run.query import asked_batch
from qanat.run.session import Session
from qanat.run.sides import states_of
from qanat.run.stored import stored
from qanat.text import literal

_NAMED = re.compile(r"(?:(?P<environment>[\w-]+):)?(?P<name>[^\s:@()'\"/]+)(?:@(?P<version>\d+))?")
_QUERY = re.compile(r"\s*(?:SELECT|WITH|FROM|VALUES)\b", re.IGNORECASE)


class Subject(Frozen):
    """What was named: its query with its inputs, and what is known of its table.

    Args:
        name: as it was given.
        query: gives its rows, in the engine's dialect.
        inputs: of the query, by `Read.name`.
        dataset: the name of its table; empty if it is none.
        version: of the table.
        rows: of the table, if known.
        plain: whether the rows are those of its only input, with all columns.
    """

    name: str
    query: SqlQuery
    inputs: dict[str, Batch]
    dataset: str = ""
    version: int | None = None
    rows: int | None = None
    plain: bool = False


def subject(session: Session, text: str, owner: str, version: int | None = None) -> Subject:
    """Find what a text names.

    Args:
        text: `table`, `table@3`, `environment:table`, the path of a file (a glob, too), a call
            such as `read_postgres('orders', url => '…')`, or a query.
        owner: a word; the names of its inputs begin with it.
        version: of the table; default: the one that `text` says, or the newest.

    Raises:
        DatasetNotFoundError, TableNotFoundError: it is not there, or has no such version.
        DeclarationError: it is a query that does not parse.
    """
    named = _NAMED.fullmatch(text)
    if named and not _is_file(session, text):
        return _table(session, text, named, owner, version)
    if version is not None:
        raise TableNotFoundError(
            f"{text} is no table, so it has no version {version}", wanted="the name of a table"
        )
    sql, plain = text, _is_file(session, text)
    if plain:
        sql = f"SELECT * FROM read_files({literal(text)})"
    elif not _QUERY.match(text):
        sql = f"SELECT * FROM {text}"
    asked = parse_adhoc(sql, session.project, plugins.connectors(), owner, outside=True)
    inputs: dict[str, Batch] = {}
    for name, read in asked.tables.items():
        with located(read.location):
            inputs[name] = asked_batch(session, read)
    query = to_engine(asked.query, session.dialect, session.pipeline.own)
    # Imported only here: with it comes the parser.
    executable = import_module("qanat.planning.eventtime").without_windows(query)
    return Subject(text, executable, inputs, plain=plain)


def _is_file(session: Session, text: str) -> bool:
    """True of a file that is there, of a glob, and of what can be nothing but a path."""
    if "\n" in text or not Path(text).suffix:
        return False
    if (session.root / text).is_file():
        return True
    code = "(" in text or _QUERY.match(text)
    return not code and ("*" in text or "/" in text)


def _table(
    session: Session, text: str, named: re.Match[str], owner: str, version: int | None
) -> Subject:
    name, environment = named["name"], named["environment"]
    if version is None and named["version"] is not None:
        version = int(named["version"])
    here = environment is None or environment == session.project.environment
    if here and is_state(name):
        name, snapshot = _state(session, name, version)
    elif here:
        table = stored(session, name, version)
        name, snapshot = table.name, table.snapshot
    else:
        there = Neighbour(".", name, environment or "")
        found = find_table(session, there, lambda holder: f"{holder}:{name}")
        newest = found.version
        if version is not None and newest is not None and version > newest:
            raise TableNotFoundError(
                f"{name} has no version {version}", wanted=f"a version from 0 to {newest}"
            )
        snapshot = found.store.snapshot(found.table, version)
    # The name of the relation: two versions of one table are two relations.
    relation = f"__{owner}_1"
    place = Location(text, 1, 1)
    read = Read(relation, dataset_ref(name), False, place)
    sql = f'SELECT * FROM "{relation}"'
    query = SqlQuery(sql, sql, session.dialect, (read,), place)
    inputs: dict[str, Batch] = {relation: snapshot.batch}
    return Subject(text, query, inputs, name, snapshot.version, snapshot.rows, True)


def _state(session: Session, name: str, version: int | None) -> tuple[str, Snapshot]:
    """The state of a flow, by the name of its table."""
    owner = planned(session.pipeline, dataset_of(name)).name
    known = {fold(table.name): table for table in states_of(session, owner)}
    table = known.get(fold(name))
    if table is None:
        names = f"qanat show {shlex.quote(owner)} --state names those that there are"
        raise TableNotFoundError(
            f"{owner} keeps no state {name}",
            nearest=nearest(name, [each.name for each in known.values()]),
            hint=names if known else None,
        )
    return table.name, session.store.snapshot(table, version)
