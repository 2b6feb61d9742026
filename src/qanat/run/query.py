"""Ask the project's tables; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

from qanat import plugins
from qanat.declare.adhoc import AskedTable, parse_adhoc
from qanat.dialect import predicate, to_engine
from qanat.errors import Location, SqlSyntaxError, located
from qanat.model.name import same
from qanat.model.rule import Predicate
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import Batch
from qanat.ports.engine import Reading
from qanat.run.session import Session
from qanat.run.stored import Stored, stored

SELF = "self"
"""What the query of one table calls that table."""


@contextmanager
def query(
    session: Session,
    sql: str,
    limit: int | None = None,
    table: Stored | None = None,
    beside: Mapping[str, Batch] | None = None,
    dialect: str | None = None,
) -> Iterator[Reading]:
    """Run a query over the stored tables; its rows are taken while the block lasts.

    Args:
        sql: in the project's dialect. Tables are read by the names of their datasets, also
            `<dataset>__quarantine`, and as they were with `VERSION AS OF 3` behind the name.
        limit: rows at most.
        table: what the name `self` stands for.
        beside: what further names stand for.
        dialect: of the query, where Qanat asks it itself; default: the project's.

    Raises:
        DatasetNotFoundError: it reads what is not declared; names the nearest.
        TableNotFoundError: that has no table (yet), or no such version.
        DeclarationError: it is no query, or does not fit the tables; says where in it.
    """
    project = session.project if dialect is None else replace(session.project, dialect=dialect)
    asked = parse_adhoc(sql, project, plugins.connectors())
    inputs: dict[str, Batch] = {}
    for name, read in asked.tables.items():
        if beside and read.dataset in beside:
            inputs[name] = beside[read.dataset]
            continue
        with located(read.location):
            inputs[name] = asked_batch(session, read, table)
    translated = to_engine(asked.query, session.dialect, session.pipeline.own)
    # Imported only here: with it comes the parser.
    executable = import_module("qanat.planning.eventtime").without_windows(translated)
    with session.engine.read(executable, inputs, limit) as reading:
        yield reading


def asked_batch(session: Session, read: AskedTable, table: Stored | None = None) -> Batch:
    """The rows that a query reads of a table, or of what else it may read."""
    if read.dataset and not read.source.adds:
        return _found(session, read, table).snapshot.batch
    if read.dataset:
        stored(session, read.dataset)  # says why there is none
    source = session.source(read.source)
    everything = source.everything(read.source)
    policy = session.project.schema_drift
    return source.bind(read.source, everything, NO_COLUMNS, policy, session.scratch).batch


def _found(session: Session, read: AskedTable, table: Stored | None) -> Stored:
    if table is None or not same(read.dataset, SELF):
        return stored(session, read.dataset, read.version)
    return table if read.version is None else stored(session, table.name, read.version)


def condition_of(session: Session, where: str | None) -> Predicate | None:
    """A condition that a user has typed, in the engine's dialect.

    Raises:
        SqlSyntaxError: it is none.
    """
    if where is None:
        return None
    rule = Predicate(where, session.project.dialect)
    where_given = Location("--where", 1, 1)
    if not where.strip():
        raise SqlSyntaxError("the condition is empty", location=where_given)
    sql = predicate(rule, session.dialect, where_given, session.pipeline.own)
    return Predicate(sql, session.dialect)
