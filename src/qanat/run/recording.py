"""A unit test written from live data: rows that are there, masked, and what comes of them.

The rows of the first input are chosen by a condition and a limit; those of the others are the ones
that join to them, by the columns that the query compares, or that have the same name. What is
expected is computed by the dataset's own query from the masked rows, on a stand-in of the project.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from qanat.disk import explained, whole_file
from qanat.errors import PlanError, RunError, TableNotFoundError
from qanat.model.name import Named, Names, same
from qanat.model.pipeline import Dataset
from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.unit_test import FOLDER, WrittenTest
from qanat.quality.masking import Masks
from qanat.run.query import condition_of
from qanat.run.session import Session
from qanat.run.stand_in import StandIn, stand_in
from qanat.run.stored import stored
from qanat.run.unit_tests import columns_of_inputs, run_unit_tests, update_stand_in

_EQUAL = re.compile(r"(?:[\w\"`]+\.)?[\"`]?(\w+)[\"`]?\s*=\s*(?:[\w\"`]+\.)?[\"`]?(\w+)[\"`]?")
_LOOKED = 100_000
"""Rows of another input among which those that join are looked for, at most."""
Row = Mapping[str, Any]


def record_test(
    session: Session,
    dataset: str,
    where: str | None = None,
    limit: int = 5,
    mask: Sequence[str] = (),
) -> WrittenTest:
    """Write a unit test of a dataset from rows of its inputs, with personal data masked.

    Args:
        where: a condition on rows of the first input, in the project's dialect.
        limit: rows of that input, at most.
        mask: columns that are masked whatever their names are.

    Raises:
        ProblemsError: the declarations are wrong.
        DatasetNotFoundError: no such dataset is declared.
        PlanError: it is a sink, or an input is no table of the project.
        RunError: no row was chosen, or the test would not pass.
    """
    session.require()
    with tempfile.TemporaryDirectory(prefix="qanat-test-") as folder:
        made = stand_in(session, Path(folder), dataset, (), columns_of_inputs(session, dataset))
        with made.session:
            chosen = _chosen(session, made, where, limit)
            masks = Masks((*mask, *_tagged(session, made)))
            for rows in chosen.values():
                masks.learn(rows)
            given = {name: [masks.mask(row) for row in rows] for name, rows in chosen.items()}
            for name, rows in given.items():
                made.put(made.inputs[name], 1, rows)
            update_stand_in(made)
            declared = made.session.pipeline.dataset(made.dataset)
            expected, aside = _rows(made, declared.name), _rows(made, declared.quarantine)
    return _written(session, declared, given, expected, aside)


def _chosen(
    session: Session, made: StandIn, where: str | None, limit: int
) -> dict[str, list[dict[str, Any]]]:
    """By input, the rows that are given."""
    names = _in_order(session, made)
    chosen: dict[str, list[dict[str, Any]]] = {}
    pairs = _compared(session, made.dataset)
    for name in names:
        condition = condition_of(session, where) if not chosen else None
        batch = stored(session, name).snapshot.batch
        asked = limit if not chosen else _LOOKED
        fetched = session.engine.fetch(batch, asked, condition)
        rows = [
            {n: _plain(v) for n, v in zip(fetched.schema.names, values, strict=True)}
            for values in fetched.values
        ]
        if chosen:
            rows = _joining(rows, [r for some in chosen.values() for r in some], pairs, limit)
        elif not rows:
            raise RunError(f"{name} has no such row", hint="give another condition: --where")
        chosen[name] = rows
    return chosen


def _in_order(session: Session, made: StandIn) -> list[str]:
    """The inputs, that of the query first and those of rules last."""
    read = [r.source.dataset for f in session.pipeline.flows_into(made.dataset)
            for r in f.query.reads if r.source.dataset]  # fmt: skip
    outside = [i.name for i in made.inputs.values() if i.outside]
    if outside:
        raise PlanError(
            f"{made.dataset} reads {outside[0]}, which is no table of the project",
            hint="declare a table of its rows, and write a test of what reads that",
        )
    places = {n: place for place, n in reversed(list(enumerate(Names(read))))}
    first = next((n for n in read if n in made.inputs), None)
    names = [i.name for i in made.inputs.values()]
    return sorted(names, key=lambda n: (first is None or not same(n, first), places.get(n, 99)))


def _compared(session: Session, dataset: str) -> Named[set[str]]:
    """By column, those that the queries or rules compare it with."""
    texts = [getattr(f.query, "text", "") for f in session.pipeline.flows_into(dataset)]
    found: Named[set[str]] = Named()
    for one, other in (pair for text in texts for pair in _EQUAL.findall(text)):
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    for each in session.pipeline.dataset(dataset).expectations:
        mine = getattr(each.rule, "columns", ())
        for one, other in zip(mine, getattr(each.rule, "target_columns", ()), strict=False):
            found.setdefault(other, set()).add(one)
    return found


def _joining(
    rows: Sequence[dict[str, Any]], known: Sequence[Row], pairs: Named[set[str]], limit: int
) -> list[dict[str, Any]]:
    """The rows that share a compared value with one that is chosen already; else the first."""
    columns = rows[0].keys() if rows else ()
    there = Names(n for row in known for n in row)
    keys = {c: [o for o in (pairs.get(c) or {c}) if o in there] for c in columns}
    compared = {c: others for c, others in keys.items() if others and (c in pairs)}
    compared = compared or {c: others for c, others in keys.items() if others}
    wanted = {
        c: {repr(row[o]) for row in known for o in others if o in row and row[o] is not None}
        for c, others in compared.items()
    }
    found = [row for row in rows if any(repr(row[c]) in values for c, values in wanted.items())]
    return found[: 20 * limit] if found else list(rows[:limit])


def _tagged(session: Session, made: StandIn) -> list[str]:
    """Columns that their declaration calls personal."""
    found = []
    for name in (made.dataset, *(i.name for i in made.inputs.values())):
        dataset = session.pipeline.get(name)
        for each in dataset.schema.fields if dataset else ():
            if re.search(r"\b(personal|pii|gdpr)\b", each.comment or "", re.IGNORECASE):
                found.append(each.name)
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral() and abs(value) < 2**53 else str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _rows(made: StandIn, table: str) -> list[dict[str, Any]]:
    """The rows of a table of the stand-in, without columns of Qanat's own."""
    try:
        snapshot = stored(made.session, table).snapshot
    except TableNotFoundError:
        return []
    fetched = made.session.engine.fetch(snapshot.batch)
    own = Names(f.name for f in QUARANTINE_FIELDS)
    rows = [dict(zip(fetched.schema.names, values, strict=True)) for values in fetched.values]
    shown = [{n: _plain(v) for n, v in row.items() if n not in own} for row in rows]
    return sorted(shown, key=repr)


def _written(
    session: Session,
    dataset: Dataset,
    given: Mapping[str, Sequence[Row]],
    expected: Sequence[Row],
    aside: Sequence[Row],
) -> WrittenTest:
    folder = session.root / FOLDER
    stem = re.sub(r"\W+", "_", dataset.name)
    number = next(n for n in range(1, 10_000) if not (folder / _file(stem, n)).exists())
    name = f"{dataset.name} from live data" + (f" {number}" if number > 1 else "")
    expect: dict[str, Any] = {"rows": list(expected), "quarantined": list(aside)}
    test = {
        "name": name,
        "model": dataset.name,
        "given": [{"input": each, "rows": list(rows)} for each, rows in given.items()],
        "expect": expect,
    }
    target = folder / _file(stem, number)
    with explained("make", folder):
        folder.mkdir(exist_ok=True)
    text = yaml.safe_dump({"unit_tests": [test]}, sort_keys=False, allow_unicode=True, width=1000)
    with whole_file(target) as part:
        part.write_text(text, encoding="utf-8")
    result = next(u for u in run_unit_tests(session) if u.name == name)
    if not result.passed:
        target.unlink()
        raise RunError(
            f"the test of {dataset.name} would not pass: it gives other rows each time",
            hint="its query uses the time, chance or the order of rows; write the test by hand",
        )
    counts = {each: len(rows) for each, rows in given.items()}
    return WrittenTest(name, dataset.name, str(target), counts, len(expected), len(aside))


def _file(stem: str, number: int) -> str:
    return f"{stem}_live{number if number > 1 else ''}.yml"
