"""Run unit tests of transformations: given rows in, expected rows out, and no table is touched."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qanat.declare import described
from qanat.declare.unit_tests import load_unit_tests
from qanat.errors import (
    ColumnNotFoundError,
    Problems,
    QanatError,
    RunError,
    TableNotFoundError,
    located,
    nearest,
)
from qanat.model.dialect import DUCKDB
from qanat.model.name import Named, Names
from qanat.model.pipeline import Drift
from qanat.model.quarantine import MALFORMED
from qanat.model.record import Definition
from qanat.model.schema import Schema
from qanat.model.unit_test import Difference, Given, Mismatch, Rows, UnitResult, UnitTest
from qanat.model.work import FilesBatch, LocalFile
from qanat.run.columns import as_stored, columns_above, describe
from qanat.run.results import Selection, choose_datasets
from qanat.run.session import Session
from qanat.run.stand_in import Input, StandIn, stand_in
from qanat.run.stored import stored
from qanat.run.update import update


def run_unit_tests(session: Session, selection: Selection | None = None) -> tuple[UnitResult, ...]:
    """Run the unit tests of a project.

    Args:
        selection: only tests of these datasets; default: all.

    Raises:
        ProblemsError: the declarations, or the files of tests, are wrong.
        SelectionError: a pattern matches nothing.
    """
    session.require()
    tests, problems = load_unit_tests(session.project.root)
    Problems(problems).require()
    if selection is not None and selection.select:
        chosen = Names(choose_datasets(session, selection).runnable)
        tests = tuple(t for t in tests if t.model in chosen)
    return tuple(_result(session, test) for test in tests)


def _result(session: Session, test: UnitTest) -> UnitResult:
    started = time.monotonic()
    mismatches: tuple[Mismatch, ...] = ()
    error: QanatError | None = None
    try:
        with located(test.location):
            mismatches = tuple(_mismatches(session, test))
    except QanatError as caught:
        error = caught
    seconds = time.monotonic() - started
    name, steps = test.name, len(test.steps)
    return UnitResult(name, test.model, test.location, seconds, steps, mismatches, error)


def _mismatches(session: Session, test: UnitTest) -> Iterator[Mismatch]:
    given = list(dict.fromkeys(g.input for step in test.steps for g in step.given))
    with tempfile.TemporaryDirectory(prefix="qanat-test-") as folder:
        made = stand_in(
            session, Path(folder), test.model, given, columns_of_inputs(session, test.model)
        )
        with made.session:
            for number, step in enumerate(test.steps, 1):
                for each in step.given:
                    with located(each.location):
                        _put(made, each, number)
                update_stand_in(made)
                for each in step.given:
                    with located(each.location):
                        _require_all(made, made.inputs[each.input])
                name = made.dataset
                quarantine = made.session.pipeline.dataset(name).quarantine
                for table, rows in ((name, step.rows), (quarantine, step.quarantined)):
                    if rows is not None:
                        yield from _compared(made, table, number, rows)


def _put(made: StandIn, given: Given, step: int) -> None:
    """Let rows come into an input.

    Raises:
        ColumnNotFoundError: a row has a column that the input is known not to have.
    """
    input_ = made.inputs[given.input]
    told = input_.columns
    columns = described.columns(told, DUCKDB.name) if isinstance(told, str) else told
    if columns is not None:
        for name in dict.fromkeys(name for row in given.rows for name in row):
            _known(name, columns, input_.name, "gives")
    made.put(input_, step, given.rows)


def _require_all(made: StandIn, input_: Input) -> None:
    """Require that all rows given to a dataset fit its columns: the stand-in set none aside.

    What is read outside the project may be malformed: its rows go to the quarantine of the dataset
    that is tested, and the test looks at them there.

    Raises:
        RunError: a value does not fit its column.
    """
    if input_.outside:
        return
    try:
        aside = stored(made.session, made.session.pipeline.dataset(input_.table).quarantine)
    except TableNotFoundError:
        return
    fetched = made.session.engine.fetch(aside.snapshot.batch)
    reasons = [dict(zip(fetched.schema.names, row, strict=True)) for row in fetched.values]
    for each in reasons:
        said = dict(each["_quarantine_rules"])[MALFORMED]
        raise RunError(f"a row given to {input_.name} does not fit: {said}")


def update_stand_in(made: StandIn) -> None:
    """Compute the dataset from all that has come.

    Raises:
        QanatError: what stopped it.
    """
    for name, input_ in made.inputs.items():
        if not (made.folder / "given" / input_.table).exists():
            if input_.columns is None and not input_.outside:
                raise RunError(f"{name} is read, and the test gives it no rows")
            made.put(input_, 0, ())
    failed = update(made.session).failed
    if failed:
        raise failed[0].error or RunError(failed[0].reason)


def columns_of_inputs(session: Session, model: str) -> Named[Schema]:
    """The columns of what a dataset reads, as far as tables and queries tell them."""
    dataset = session.pipeline.get(model)
    if dataset is None:
        return Named()
    definitions = session.recorded.definitions() if session.has_ledger else Named[Definition]()

    def ask(each: Any, above: Named[Schema]) -> Schema | None:
        try:
            told = as_stored(session, each, above, definitions.get(each.name))
        except QanatError:
            told = None
        # What it reads may not be there, and need not.
        return _described(session, each.name, above) if told is None else told

    return columns_above(session, dataset, ask)


def _described(session: Session, name: str, above: Named[Schema]) -> Schema | None:
    """The columns of a dataset by those of its inputs; None if these are not known."""
    with tempfile.TemporaryDirectory(prefix="qanat-test-") as folder:
        try:
            made = stand_in(session, Path(folder), name, (), above)
            with made.session:
                inputs = list(made.inputs.values())
                if any(i.columns is None for i in inputs):
                    return None
                for each in inputs:
                    made.put(each, 0, ({},))
                told = ((i.table, i.columns) for i in inputs)
                known = Named((n, c) for n, c in told if isinstance(c, Schema))
                dataset = made.session.pipeline.dataset(name)
                return describe(made.session, dataset, known, None).schema
        except QanatError:
            return None


def _compared(made: StandIn, table: str, step: int, rows: Rows) -> Iterator[Mismatch]:
    """The mismatch between a table and the rows that are expected, if there is one."""
    session = made.session
    try:
        snapshot = stored(session, table).snapshot
    except QanatError:
        found, schema = [], Schema(())
    else:
        fetched = session.engine.fetch(snapshot.batch)
        schema = fetched.schema
        found = [dict(zip(schema.names, values, strict=True)) for values in fetched.values]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = tuple(names) if rows else tuple(n for n in schema.names if n[:1] != "_")
    if schema.fields:
        columns = tuple(_known(name, schema, table, "expects") for name in columns)
        rows = [{_known(n, schema, table, "expects"): v for n, v in row.items()} for row in rows]
    expected = _typed(made, rows, schema, columns) if schema.fields else list(rows)
    shown = [{c: row.get(c) for c in columns} for row in found]
    matching, differences = _differences(expected, shown)
    if differences:
        yield Mismatch(table, step, columns, tuple(differences), matching)


def _known(name: str, schema: Schema, table: str, does: str) -> str:
    field = schema.get(name)
    if field is None:
        raise ColumnNotFoundError(
            f"the test {does} column {name!r}, which {table} does not have",
            wanted=", ".join(schema.names),
            nearest=nearest(name, schema.names),
        )
    return field.name


def _typed(
    made: StandIn, rows: Rows, schema: Schema, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Expected rows with values of the types that the table's columns have.

    Raises:
        RunError: a value does not fit its column.
    """
    if not rows:
        return []
    file = made.folder / "expected.json"
    lines = (json.dumps({c: row.get(c) for c in columns}) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    status = file.stat()
    local = LocalFile(str(file), str(file), status.st_size, status.st_mtime_ns)
    declared = Schema(tuple(f for f in schema.fields if f.name in columns))
    batch = FilesBatch((local,), "ndjson", (), declared, Schema(()), Drift.EVOLVE, str(file))
    fetched = made.session.engine.fetch(batch)
    names = fetched.schema.names
    typed = [
        {c: value for c, value in zip(names, values, strict=True) if c in columns}
        for values in fetched.values
    ]
    if len(typed) != len(rows):
        types = ", ".join(f"{f.name} {f.type}" for f in declared.fields)
        raise RunError("an expected value does not fit its column", wanted=types)
    return [{c: row.get(c) for c in columns} for row in typed]


def _differences(
    expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> tuple[int, list[Difference]]:
    """How many rows are alike, and the others: each beside the one that is most like it."""
    left = list(found)
    missing = []
    for row in expected:
        if row in left:
            left.remove(row)
        else:
            missing.append(row)
    differences = []
    for row in missing:
        nearest_ = max(left, key=lambda other: _alike(row, other), default=None)
        if nearest_ is not None and not _alike(row, nearest_):
            nearest_ = None
        if nearest_ is not None:
            left.remove(nearest_)
        differences.append(Difference(row, nearest_))
    differences += [Difference(None, row) for row in left]
    return len(expected) - len(missing), differences


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one[name] == other.get(name) for name in one)
