"""Evaluate rules about all rows together: each says whether it holds, and what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeAlias

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.comparing import compare_sides
from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.pairing import selected
from qanat.engines.duckdb.rules import among, query_of
from qanat.errors import CheckUndecidedError, DatasetNotFoundError, SchemaMismatchError, located
from qanat.frozen import Frozen
from qanat.model.comparison import Comparing
from qanat.model.expectation import Expectation, Nulls
from qanat.model.name import Name, fold
from qanat.model.rule import Aggregate, Distribution, Fresh, SameRows, of_epoch
from qanat.model.staged import RuleCount
from qanat.model.work import Batch, TableBatch, ViewWork, Work
from qanat.text import clip, duration, quote

_Found: TypeAlias = tuple[bool | None, str, float | None]
"""Whether a rule holds, None if nobody can say; what was measured; until when it will hold."""
_WIDEST = 200
"""Characters of what was measured."""
_ORDERED = re.compile(
    r"(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|DOUBLE|FLOAT|DECIMAL.*|DATE|TIME.*)", re.IGNORECASE
)
"""Types whose values have distances: their distributions are compared as Kolmogorov has it."""
_MOMENT = re.compile("DATE|TIMESTAMP")
"""Types that begin so are points in time, which TIME is not."""
_COUNT = re.compile(r"count\s*\(\s*\*?\s*\)", re.IGNORECASE)


def measured(
    bindings: Bindings,
    rows: Sequence[Batch],
    dataset: str,
    expectations: Sequence[Expectation],
    references: Mapping[Name, Batch],
    at_ns: int,
    known: int | None,
    gone: frozenset[str],
) -> tuple[RuleCount, ...]:
    """What came of rules about the rows of some batches (see `qanat.ports.engine.Engine`)."""
    left = (_without(batch, gone) for batch in rows)
    parts = [bindings.bind(f"__measured_{n}", batch).plain for n, batch in enumerate(left)]
    relation = " UNION ALL BY NAME ".join(f"({part})" for part in parts)
    others = references_of(bindings, references, "measured")
    return Measuring(bindings.con, dataset, relation, others, at_ns, known).measure(expectations)


def _without(batch: Batch, gone: frozenset[str]) -> Batch:
    if not gone or not isinstance(batch, TableBatch):
        return batch
    return replace(batch, files=tuple(path for path in batch.files if path not in gone))


def of_these_rows(
    bindings: Bindings, work: Work, of: Work | ViewWork, rows: str
) -> tuple[RuleCount, ...]:
    """What came of the rules of a dataset that are about the rows of one epoch.

    Args:
        of: the dataset: the work's own, or a view of it.
        rows: SELECT text of these.
    """
    wanted = [e for e in of.expectations if of_epoch(e.rule)]
    if not wanted:
        return ()
    known = references_of(bindings, work.references, "measured")
    name = of.dataset if isinstance(of, Work) else of.name
    return Measuring(bindings.con, name, rows, known, work.at_ns).measure(wanted)


def references_of(
    bindings: Bindings, references: Mapping[Name, Batch], label: str
) -> Mapping[Name, str]:
    """SELECT texts of the datasets that rules read.

    Args:
        label: tells the names of their relations from others.
    """
    return {
        name: bindings.bind(f"__ref_{label}_{i}", batch).plain
        for i, (name, batch) in enumerate(references.items())
    }


class Measuring(Frozen):
    """The evaluation of rules about some rows of a dataset.

    Args:
        relation: SELECT text of the rows.
        references: SELECT texts by dataset, of those that rules read.
        at_ns: when the update began, nanoseconds since 1970 (UTC).
        rows: how many there are, if that is known without counting.
    """

    con: DuckDBPyConnection
    dataset: str
    relation: str
    references: Mapping[Name, str]
    at_ns: int
    rows: int | None = None

    def measure(self, expectations: Iterable[Expectation]) -> tuple[RuleCount, ...]:
        """What came of each rule.

        Raises:
            CheckUndecidedError: nobody can say whether one holds.
            QueryError, ColumnNotFoundError, ConversionError: one cannot be computed.
        """
        found: dict[str, _Found] = {}
        together: dict[str, list[Expectation]] = {}
        wanted = list(expectations)
        for each in wanted:
            rule = each.rule
            if isinstance(rule, Aggregate) and not rule.reads and not self._known(each):
                # All of these over the same rows are one scan.
                together.setdefault(among(self.relation, each), []).append(each)
                continue
            with self._explained(each):
                found[each.name] = self._alone(each)
        for rows, rules in together.items():
            found |= self._aggregates(rows, rules)
        return tuple(self._count(each, *found[each.name]) for each in wanted)

    def _count(
        self, expectation: Expectation, holds: bool | None, value: str, until: float | None
    ) -> RuleCount:
        value = clip(value, _WIDEST)
        if holds is None and expectation.nulls is Nulls.VIOLATE:
            raise CheckUndecidedError(
                f"expectation {expectation.name} of {self.dataset} cannot be decided",
                location=expectation.location,
                wanted=str(expectation.rule),
                got=value,
                hint="nothing was published; NULLS PASS lets it pass where there is nothing to"
                " measure, coalesce(…) says what NULL means",
            )
        broken = int(holds is False)
        return RuleCount.of(self.dataset, expectation, broken, value=value, until=until)

    def _alone(self, expectation: Expectation) -> _Found:
        rule = expectation.rule
        rows = among(self.relation, expectation)
        match rule:
            case Aggregate():
                if known := self._known(expectation):
                    return self._one(f"SELECT {known}", rule)
                return self._one(self._statement(rows, [expectation]), rule)
            case Fresh():
                return self._fresh(rows, expectation, rule)
            case Distribution():
                return self._distribution(rows, expectation, rule)
            case SameRows():
                return self._same_rows(rows, expectation, rule)
        raise TypeError(f"{rule} is no rule about all rows")

    # -- aggregates ------------------------------------------------------------------------

    def _aggregates(self, rows: str, rules: Sequence[Expectation]) -> dict[str, _Found]:
        try:
            (found,) = self.con.execute(self._statement(rows, rules)).fetchall()
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            # One by one, so that the error names the rule and its place.
            for each in rules:
                with self._explained(each):
                    self.con.execute(self._statement(rows, [each]))
            raise
        values = iter(found)
        return {e.name: _decided([next(values) for _ in range(_width(e))], e.rule) for e in rules}

    def _one(self, statement: str, rule: Aggregate) -> _Found:
        (found,) = self.con.execute(statement).fetchall()
        return _decided(found, rule)

    def _statement(self, rows: str, rules: Sequence[Expectation]) -> str:
        columns = ", ".join(c for e in rules for c in _columns(e.rule, exact_casts))
        tables = ", ".join(
            f"{quote(name)} AS NOT MATERIALIZED ({self._reference(e, dataset)})"
            for e in rules
            if isinstance(e.rule, Aggregate)
            for name, dataset in e.rule.reads
        )
        given = f"WITH {tables} " if tables else ""
        return f"{given}SELECT {columns} FROM ({rows}) AS r"

    def _known(self, expectation: Expectation) -> str:
        """The columns of a condition on nothing but a number of rows that is known; or empty."""
        rule = expectation.rule
        if self.rows is None or expectation.where is not None or not isinstance(rule, Aggregate):
            return ""
        counts = [m.sql for m in rule.measures]
        if rule.reads or not counts or not all(map(_COUNT.fullmatch, counts)):
            return ""
        number = str(self.rows)
        return ", ".join(_columns(rule, lambda sql: _COUNT.sub(number, sql)))

    # -- other rules -----------------------------------------------------------------------

    def _fresh(self, rows: str, expectation: Expectation, rule: Fresh) -> _Found:
        column = quote(rule.column)
        kind = str(self.con.sql(f"SELECT {column} FROM ({rows}) AS r LIMIT 0").types[0])
        if not _MOMENT.match(kind):
            raise SchemaMismatchError(
                f"expectation {expectation.name}: nobody can say how old a value of"
                f" {rule.column} is",
                location=expectation.location,
                wanted="a DATE or a TIMESTAMP",
                got=kind,
                hint=f"convert it in the query: CAST({rule.column} AS TIMESTAMP)",
            )
        ((latest, age),) = self.con.execute(
            f"SELECT max({column}), {self.at_ns} / 1e9 - epoch(max({column})) FROM ({rows}) AS r"
        ).fetchall()
        value = f"max({rule.column}) = {_text(latest)}"
        if age is None or math.isinf(age):
            return None, value, None
        old = f"{duration(age)} old" if age >= 0 else f"{duration(-age)} ahead of the clock"
        holds = age <= rule.seconds
        until = self.at_ns / 1e9 - age + rule.seconds if holds else None
        return holds, f"{value}, {old}", until

    def _distribution(self, rows: str, expectation: Expectation, rule: Distribution) -> _Found:
        mine, theirs = quote(rule.column), quote(rule.target_column)
        other = self._reference(expectation, rule.dataset)
        both = (
            f"SELECT v, sum(a) AS a, sum(b) AS b FROM ("
            f"SELECT {mine} AS v, 1 AS a, 0 AS b FROM ({rows}) AS r UNION ALL "
            f"SELECT {theirs}, 0, 1 FROM ({other}) AS t) WHERE v IS NOT NULL GROUP BY v"
        )
        shares = f"SELECT v, a / sum(a) OVER () AS a, b / sum(b) OVER () AS b FROM ({both})"
        kind = str(self.con.sql(f"SELECT v FROM ({both}) LIMIT 0").types[0])
        if _ORDERED.fullmatch(kind):
            sums = "sum(a) OVER (ORDER BY v) - sum(b) OVER (ORDER BY v)"
            distance = f"SELECT max(abs(d)) FROM (SELECT {sums} AS d FROM ({shares}))"
        else:
            distance = f"SELECT sum(abs(a - b)) / 2 FROM ({shares})"
        ((found,),) = self.con.execute(distance).fetchall()
        if found is None or math.isnan(found):
            return None, "there is nothing to compare", None
        # Sums of shares are off by some last digits.
        return found <= rule.at_most + 1e-12, f"distance {found:.4g}", None

    def _same_rows(self, rows: str, expectation: Expectation, rule: SameRows) -> _Found:
        other = self._reference(expectation, rule.dataset)
        how = Comparing(rule.keys, rule.columns, samples=0)
        with located(expectation.location):
            sides = selected(self.con, rows), selected(self.con, other)
            found = compare_sides(self.con, sides, how)
        here, there = found.left.only, found.right.only
        value = f"{here} only here, {there} only there, {found.changed} with other values"
        return not (here or there or found.changed), value, None

    def _reference(self, expectation: Expectation, dataset: str) -> str:
        source = self.references.get(fold(dataset))
        if source is None:
            raise DatasetNotFoundError(
                f"expectation {expectation.name} reads {dataset!r}, which has no table yet",
                location=expectation.location,
                hint=f"run it first: qanat run --select +{dataset}",
            )
        return source

    @contextmanager
    def _explained(self, expectation: Expectation) -> Iterator[None]:
        def names() -> Iterator[str]:
            yield from self.con.sql(f"SELECT * FROM ({self.relation}) LIMIT 0").columns

        with explained(query_of(expectation), names(), expectation):
            yield


def _columns(rule: object, made: Callable[[str], str]) -> list[str]:
    """The columns of a condition: whether it holds, and what it measures."""
    if not isinstance(rule, Aggregate):
        raise SchemaMismatchError(f"{rule} is no condition")
    # An author's text may end in a -- comment, so the parenthesis needs its own line.
    return [f"({made(sql)}\n)" for sql in (rule.sql, *(m.sql for m in rule.measures))]


def _width(expectation: Expectation) -> int:
    rule = expectation.rule
    return 1 + len(rule.measures) if isinstance(rule, Aggregate) else 1


def _decided(found: Sequence[Any], rule: object) -> _Found:
    holds, *values = found
    measures = rule.measures if isinstance(rule, Aggregate) else ()
    told = (f"{m.written} = {_text(v)}" for m, v in zip(measures, values, strict=True))
    return None if holds is None else bool(holds), ", ".join(told), None


def _text(value: object) -> str:
    """A value as people read it.

    >>> _text(0.1 + 0.2), _text(None), _text(12000)
    ('0.3', 'NULL', '12000')
    """
    match value:
        case None:
            return "NULL"
        case float():
            return f"{value:.10g}"
        case datetime():
            return value.isoformat(" ")
        case date():
            return value.isoformat()
    return " ".join(str(value).split())
