"""Rules about the table and its columns, checked on what an epoch would make of them.

No reader sees what was staged yet: a rule that fails takes nothing back. What an epoch adds, or
writes again, is read from its files, and of all files only the columns that rules name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qanat.errors import ExpectationFailedError
from qanat.model.expectation import Expectation
from qanat.model.name import Named, fold
from qanat.model.rule import HasColumns, Level, of_table
from qanat.model.schema import Schema
from qanat.model.staged import DataFile, RuleCount
from qanat.model.work import Batch, TableBatch
from qanat.run.attempt import Attempt
from qanat.run.memo import CompiledFlow
from qanat.text import count


def rules_of_table(attempt: Attempt) -> tuple[RuleCount, ...]:
    """What came of the rules that were not checked while the epoch was computed.

    Raises:
        CheckUndecidedError: nobody can say whether one holds.
        QanatError: one cannot be computed.
    """
    name = attempt.compiled.dataset.name
    done = {r.rule for r in attempt.staged.rules if r.dataset == name}
    left = [
        e for e in attempt.compiled.expectations if not e.rule.level.of_rows and e.name not in done
    ]
    if not left or attempt.compiled.layouts:
        return ()
    schema = attempt.staged.table.schema
    found = {r.rule: r for r in of_columns(name, schema, left)}
    table = [e for e in left if e.rule.level is Level.TABLE and of_table(e.rule)]
    if table:
        batches, rows = _as_it_would_be(attempt)
        found |= _measured(attempt, batches, table, rows)
    epoch = [e for e in left if e.rule.level is Level.TABLE and not of_table(e.rule)]
    if epoch:
        new = attempt.staged.table
        found |= _measured(attempt, (_files(attempt, new.files),), epoch, new.rows)
    return tuple(found[e.name] for e in left)


def _measured(
    attempt: Attempt, batches: Sequence[Batch], rules: Sequence[Expectation], rows: int | None
) -> Mapping[str, RuleCount]:
    engine, name = attempt.session.engine, attempt.compiled.dataset.name
    at_ns = attempt.running.at_ns
    gone = frozenset(attempt.staged.table.removed)
    others = attempt.bound.references
    counts = engine.measure(batches, name, rules, others, at_ns, rows, gone)
    return {c.rule: c for c in counts}


def _as_it_would_be(attempt: Attempt) -> tuple[Sequence[Batch], int | None]:
    """The rows of the table once the epoch is published, and how many they are, if known."""
    session, epoch, staged = attempt.session, attempt.epoch, attempt.staged.table
    new = _files(attempt, (*(staged.rewritten or ()), *staged.files))
    table = session.table(epoch.dataset)
    if epoch.replaces or session.store.version(table) is None:
        return (new,), staged.rows
    corrects = attempt.work.correction is not None
    if staged.rewritten is not None and not corrects:
        return (new,), None  # all rows of the table were written again
    snapshot = session.store.snapshot(table)
    known = snapshot.rows is not None and not staged.removed
    return (snapshot.batch, new), (snapshot.rows or 0) + staged.rows if known else None


def _files(attempt: Attempt, files: Sequence[DataFile]) -> Batch:
    work, staged = attempt.work, attempt.staged.table
    paths = tuple(str(work.output.folder / file.path) for file in files)
    return TableBatch(paths, staged.schema, attempt.compiled.dataset.partition_by)


def of_columns(dataset: str, schema: Schema, rules: Sequence[Expectation]) -> Iterator[RuleCount]:
    """What came of rules about the columns of a dataset."""
    for each in rules:
        if isinstance(each.rule, HasColumns):
            wrong = "; ".join(deviations(each.rule, schema))
            yield RuleCount.of(dataset, each, int(bool(wrong)), value=wrong or "as expected")


def deviations(rule: HasColumns, schema: Schema) -> Iterator[str]:
    """What is otherwise about columns than a rule says.

    >>> from qanat.model.schema import STRING, Field, Primitive
    >>> found = Schema((Field("b", STRING), Field("a", STRING), Field("c", STRING)))
    >>> rule = HasColumns((("a", Primitive("long")), ("b", None), ("d", None)), True, True)
    >>> list(deviations(rule, found))
    ['a is string', 'no column d', 'c is there, too', 'the order is b, a, c']
    """
    found = Named((f.name, f) for f in schema.fields)
    for name, kind in rule.fields:
        there = found.get(name)
        if there is None:
            yield f"no column {name}"
        elif kind is not None and there.type != kind:
            yield f"{name} is {there.type}"
    wanted = {fold(name): n for n, (name, _) in enumerate(rule.fields)}
    if rule.only:
        yield from (f"{n} is there, too" for n in schema.names if fold(n) not in wanted)
    places = [wanted[fold(n)] for n in schema.names if fold(n) in wanted]
    if rule.ordered and places != sorted(places):
        yield f"the order is {', '.join(schema.names)}"


def failure(compiled: CompiledFlow, failed: tuple[RuleCount, ...]) -> ExpectationFailedError:
    """The error for expectations because of which nothing may be published."""
    first = failed[0]
    # A view may have a rule of the same name.
    rules = {(compiled.dataset.name, e.name): e for e in compiled.expectations}
    rules |= {(v.dataset.name, e.name): e for v in compiled.views for e in v.expectations}
    rule = rules[first.dataset, first.rule]
    one = "s" if first.violations == 1 else ""
    message = f"{count(first.violations, 'row')} of {first.dataset} violate{one} {first.rule}"
    broken = "; ".join(f"{r.rule}: {_found(r)}" for r in failed) if len(failed) > 1 else None
    # In the words of the file that declares the rule: a contract has no ON VIOLATION.
    in_sql = rule.location.file.endswith(".sql")
    quarantine = "ON VIOLATION QUARANTINE ROW" if in_sql else "the action quarantine"
    hint = (
        "nothing was published; mend the data or the rule and run again"
        f" ({quarantine} instead would keep such rows aside, to be looked at)"
    )
    if not first.of_rows:
        message = f"{first.dataset} violates {first.rule}"
        broken = broken or first.value
        hint = "nothing was published; mend the data or the rule and run again"
    elif first.tolerance is not None:
        message += f", of {first.rows:,}"
        hint = "nothing was published; mend the data and run again, or tolerate more"
    return ExpectationFailedError(
        message, location=rule.location, wanted=rule.text, got=broken, hint=hint
    )


def _found(rule: RuleCount) -> str:
    return count(rule.violations, "row") if rule.value is None else rule.value
