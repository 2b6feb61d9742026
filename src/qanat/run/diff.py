"""Compare two tables, versions, environments, files or queries by keys; nothing is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import monotonic

from qanat import plugins
from qanat.declare.adhoc import parse_adhoc
from qanat.dialect import to_engine
from qanat.errors import Location, TableNotFoundError, located
from qanat.frozen import Frozen
from qanat.model.comparison import Comparing, Diff, DiffSide, Relation
from qanat.model.name import Names
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.rule import Unique
from qanat.model.work import Batch
from qanat.ports.source import Neighbour
from qanat.run.neighbours import find_table
from qanat.run.query import asked_batch, condition_of
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.text import literal

_NAMED = re.compile(r"(?:(?P<environment>[\w-]+):)?(?P<name>[^\s:@()'\"/]+)(?:@(?P<version>\d+))?")
_QUERY = re.compile(r"\s*(?:SELECT|WITH|FROM|VALUES)\b", re.IGNORECASE)


class _Found(Frozen):
    """One side: its name, query and inputs, and what is known of its table."""

    name: str
    query: SqlQuery
    inputs: dict[str, Batch]
    dataset: str = ""
    version: int | None = None
    rows: int | None = None


def diff(session: Session, left: str, right: str, how: Comparing) -> Diff:
    """Compare two sides by keys.

    Args:
        left, right: `table`, `table@3`, `environment:table`, the path of a file, a call such as
            `read_postgres('orders', url => '…')`, or a query.
        how: `where` is in the project's dialect.

    Raises:
        DatasetNotFoundError, TableNotFoundError: a side is not there.
        ColumnNotFoundError: a key or column is not there, or no column tells rows apart.
        DeclarationError: a query or the condition does not fit.
    """
    started = monotonic()
    here, there = _side(session, left, "left"), _side(session, right, "right")
    where = condition_of(session, how.where.sql if how.where else None)
    keys, keyed = how.keys, "given"
    if not keys:
        keys, keyed = _declared(session, here, there)
    asked = replace(how, keys=keys, where=where)
    mine, theirs, shared = _apart(here, there)
    found = session.engine.compare(mine, theirs, asked)
    sides = (
        DiffSide(each.name, each.version, _rows(each, read.read, shared, how))
        for each, read in ((here, found.left), (there, found.right))
    )
    return Diff(next(sides), next(sides), found, keyed, shared, monotonic() - started)


def _rows(side: _Found, read: int, shared: int, how: Comparing) -> int | None:
    if not shared:
        return read
    return side.rows if how.where is None else None


def _side(session: Session, text: str, owner: str) -> _Found:
    named = _NAMED.fullmatch(text)
    if named and not _is_file(session, text):
        return _table(session, text, named, owner)
    sql = text
    if _is_file(session, text):
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
    return _Found(text, executable, inputs)


def _is_file(session: Session, text: str) -> bool:
    if "\n" in text or "(" in text or not Path(text).suffix:
        return False
    return "*" in text or (session.root / text).is_file()


def _table(session: Session, text: str, named: re.Match[str], owner: str) -> _Found:
    name, environment = named["name"], named["environment"]
    version = None if named["version"] is None else int(named["version"])
    if environment is None or environment == session.project.environment:
        table = stored(session, name, version)
        name, snapshot = table.name, table.snapshot
    else:
        found = find_table(session, Neighbour(".", name, environment))
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
    return _Found(text, query, inputs, name, snapshot.version, snapshot.rows)


def _apart(here: _Found, there: _Found) -> tuple[Relation, Relation, int]:
    """Both sides for the engine, without the files of a table that are in both."""
    mine, theirs, shared = here.inputs, there.inputs, 0
    if here.dataset and there.dataset:
        (a, first), (b, second) = *mine.items(), *theirs.items()
        both = first.shareable & second.shareable
        mine, theirs, shared = {a: first.less(both)}, {b: second.less(both)}, len(both)
    return Relation(here.query, mine), Relation(there.query, theirs), shared


def _declared(session: Session, here: _Found, there: _Found) -> tuple[tuple[str, ...], str]:
    """The keys that a declaration says of either side's dataset; none if it says none."""
    for side in (here, there):
        for keys in _keys_of(session, side.dataset):
            return keys, "declared"
    return (), "found"


def _keys_of(session: Session, name: str) -> Iterator[tuple[str, ...]]:
    dataset = session.pipeline.get(name) if name else None
    if dataset is None or Names((dataset.name,)) != Names((name,)):
        return
    if dataset.keys:
        yield dataset.keys
    for flow in session.pipeline.flows_into(dataset.name):
        if flow.changes is not None and (keys := flow.changes.identifies):
            yield keys
    for expectation in dataset.expectations:
        if isinstance(expectation.rule, Unique):
            yield expectation.rule.columns
