"""Mark the rows that break rules, with one column of true or false for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datafusion import DataFrame, SessionContext

from qanat.errors import DatasetNotFoundError
from qanat.model.expectation import Action, Expectation, Nulls
from qanat.model.name import Name, fold
from qanat.model.rule import Predicate, References, Unique
from qanat.model.staged import Counts, RuleCount
from tests.conformance.datafusion_engine.columns import quote
from tests.conformance.datafusion_engine.faults import explained

RID = "__qanat_rid"
"""The number of a row in the result that rules are applied to, from 0."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The rows of a result with a column `broken(i)` for each rule.

    Args:
        rows: SELECT text of them, `__qanat_rid` and the marks.
    """

    session: SessionContext
    rows: str
    expectations: tuple[Expectation, ...]

    @property
    def quarantined(self) -> str:
        """The condition of the rows that go to quarantine: if both would, keeping a row wins."""
        return _any(self.expectations, Action.QUARANTINE)

    @property
    def dropped(self) -> str:
        """The condition of the rows that are left out and not kept."""
        return f"({_any(self.expectations, Action.DROP)} AND NOT {self.quarantined})"

    @property
    def kept(self) -> str:
        """The condition of the rows that stay."""
        return f"NOT {_any(self.expectations, Action.QUARANTINE, Action.DROP)}"

    def select(self, what: str, condition: str) -> DataFrame:
        """The rows that meet a condition, in their order."""
        return self.session.sql(
            f"SELECT {what} FROM ({self.rows}) WHERE {condition} ORDER BY {RID}"
        )

    def count(self, dataset: str) -> tuple[Counts, tuple[RuleCount, ...]]:
        """How many rows go where, and how many break each rule."""
        tests = [self.kept, self.dropped, self.quarantined]
        tests += [broken(i) for i in range(len(self.expectations))]
        tests += [_about(e) for e in self.expectations]
        counts = ", ".join(f"count(*) FILTER (WHERE {t}) AS n{i}" for i, t in enumerate(tests))
        (row,) = self.session.sql(f"SELECT count(*) AS n, {counts} FROM ({self.rows})").to_pylist()
        total, written, dropped, quarantined, *found = row.values()
        each = zip(
            self.expectations,
            found[: len(self.expectations)],
            found[len(self.expectations) :],
            strict=True,
        )
        return Counts(total, written, dropped, quarantined), tuple(
            RuleCount.of(dataset, e, violations, rows) for e, violations, rows in each
        )


def mark(
    session: SessionContext,
    table: str,
    expectations: Sequence[Expectation],
    existing: str | None,
    references: Mapping[Name, str],
) -> Marked:
    """Compile rules into a query that marks the rows of a table.

    Args:
        table: name of a table of the session, with a column `__qanat_rid`.
        existing: name of what the table holds already, for UNIQUE.
        references: names of tables by dataset, for REFERENCES.

    Raises:
        DeclarationError: a rule does not compile.
    """
    marks = []
    for index, each in enumerate(expectations):
        if isinstance(each.rule, Predicate):
            # The author's condition may end in a comment. NULL falls into ELSE as FALSE does.
            holds = f"({each.rule.sql}\n)"
            if each.nulls is Nulls.PASS:
                holds = f"({holds} IS NOT FALSE)"
            # Of other rows, the condition may not be computed. DataFusion makes AND and OR of a
            # CASE of booleans, and computes both sides: so these are numbers.
            test = f"CASE WHEN {holds} THEN 0 ELSE 1 END"
            if each.where is not None:
                test = f"CASE WHEN {_about(each)} THEN {test} ELSE 0 END"
            test = f"({test} = 1)"
            marks.append(f"{test} AS {broken(index)}")
            _compile(session, each, f"SELECT {marks[-1]} FROM {quote(table)}")
    rows = f"SELECT {', '.join(['*', *marks])} FROM {quote(table)}"
    for index, each in enumerate(expectations):
        if isinstance(each.rule, References):
            rows = _orphans(rows, broken(index), each, each.rule, references)
            _compile(session, each, rows)
    # UNIQUE comes last, so that a row another rule has already removed claims no key.
    before = [i for i, e in enumerate(expectations) if not isinstance(e.rule, Unique)]
    for index, each in enumerate(expectations):
        if isinstance(each.rule, Unique):
            removed = _any(expectations, Action.QUARANTINE, Action.DROP, among=before)
            rows = _repeated(rows, broken(index), each, each.rule.columns, removed, existing)
            _compile(session, each, rows)
            before.append(index)
    return Marked(session, rows, tuple(expectations))


def blame(session: SessionContext, table: str, expectations: Sequence[Expectation]) -> None:
    """Raise the error of the rule that cannot be evaluated on some row, if there is one."""
    for each in expectations:
        if isinstance(each.rule, Predicate):
            with explained(each.location, f"expectation {each.name}: "):
                test = f"CASE WHEN ({each.rule.sql}\n) THEN 0 ELSE 1 END"
                session.sql(
                    f"SELECT count(*) FROM {quote(table)} WHERE"
                    f" CASE WHEN {_about(each)} THEN {test} END = 0"
                ).collect()


def broken(index: int) -> str:
    """The column that is true for the rows that break a rule."""
    return f"__qanat_broken_{index}"


def _compile(session: SessionContext, expectation: Expectation, sql: str) -> None:
    with explained(expectation.location, f"expectation {expectation.name}: "):
        session.sql(sql)


def _orphans(
    rows: str, name: str, expectation: Expectation, rule: References, tables: Mapping[Name, str]
) -> str:
    """Rows with a mark on those whose key another table does not have."""
    other = tables.get(fold(rule.dataset))
    if other is None:
        raise DatasetNotFoundError(
            f"expectation {expectation.name} references {rule.dataset!r}, which is not there",
            location=expectation.location,
        )
    found = _found(rule.columns, other, rule.target_columns)
    orphan = f"{_about(expectation)} AND {_complete(rule.columns)} AND k.hit IS NULL"
    return f"SELECT m.*, {orphan} AS {name} FROM ({rows}) AS m {found}"


def _repeated(
    rows: str,
    name: str,
    expectation: Expectation,
    columns: tuple[str, ...],
    removed: str,
    existing: str | None,
) -> str:
    """Rows with a mark on those whose key the table has, or a kept row before them."""
    keys = ", ".join(f"m.{quote(c)}" for c in columns)
    asked = _about(expectation)
    taken = f"CASE WHEN NOT {removed} AND {asked} THEN m.{RID} END"
    first = f"min({taken}) OVER (PARTITION BY {keys})"
    repeats, found = f"coalesce(m.{RID} > {first}, false)", ""
    if existing is not None:
        repeats, found = (
            f"(k.hit IS NOT NULL OR {repeats})",
            _found(columns, existing, columns, asked),
        )
    broken = f"{asked} AND {_complete(columns)} AND {repeats}"
    return f"SELECT m.*, {broken} AS {name} FROM ({rows}) AS m {found}"


def _any(
    expectations: Sequence[Expectation], *actions: Action, among: Sequence[int] | None = None
) -> str:
    """The condition of the rows that break a rule with one of these actions."""
    marks = [
        broken(i)
        for i, e in enumerate(expectations)
        if e.action in actions and (among is None or i in among)
    ]
    return f"({' OR '.join(marks) or 'false'})"


def _complete(columns: tuple[str, ...]) -> str:
    """As in SQL, a key with a NULL in it equals nothing and refers to nothing."""
    return "(" + " AND ".join(f"m.{quote(c)} IS NOT NULL" for c in columns) + ")"


def _about(expectation: Expectation) -> str:
    """The condition of the rows that an expectation is about."""
    where = expectation.where
    return "true" if where is None else f"coalesce(({where.sql}\n), false)"


def _found(
    columns: tuple[str, ...], table: str, target_columns: tuple[str, ...], asked: str = "true"
) -> str:
    """A join that tells, as `k.hit`, whether a row's key is in another table."""
    theirs = ", ".join(f"{quote(c)} AS k{i}" for i, c in enumerate(target_columns))
    same = " AND ".join(f"m.{quote(c)} = k.k{i}" for i, c in enumerate(columns))
    keys = f"SELECT DISTINCT {theirs}, true AS hit FROM {quote(table)} WHERE {asked}"
    return f"LEFT JOIN ({keys}) AS k ON {same}"
