"""Outside the room that owns a kind, nothing asks which kind it is: the kernel is open.

A new source, sink, engine, table format, ledger, dialect or change arrives as a new file in its
room. A branch on kinds or their names elsewhere would have to learn of it, so there is none, and
no list of exceptions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from qanat.model.dialect import DIALECTS
from qanat.plugins import BUILTIN
from tests.parsed import nodes

ROOT = Path(__file__).parents[2] / "src" / "qanat"

# The rooms whose adapters make and take these values; what they mean is their affair.
OWNERS = ("connectors", "engines", "storage")
# The rooms that know names: those whose adapters have them, translate them or list them.
NAMED = (*OWNERS, "dialect", "ledgers", "model/dialect.py", "plugins.py")
REGISTERED = {
    *(name for kind in ("engines", "formats", "ledgers") for name in BUILTIN[kind]),
    *(dialect.name for dialect in DIALECTS),
}

KINDS = {
    "ArrowBatch",
    "AutoCdc",
    "Change",
    "Connector",
    "Discard",
    "EngineKind",
    "FilesBatch",
    "Keyed",
    "LedgerKind",
    "MergeInto",
    "Range",
    "Readmission",
    "SourceRef",
    "TableBatch",
    "TableFormat",
    "ViewBatch",
}
# Attributes that name a kind: a comparison with one is a branch on it.
NAMES = {"connector", "table_format", "change"}


def branches(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and text of each question for a kind: isinstance, case, or a comparison."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                asked = {n.id for n in ast.walk(kinds) if isinstance(n, ast.Name)}
            case ast.MatchClass(cls=ast.Name(id=name)):
                asked = {name}
            case ast.Compare(left=left, comparators=right):
                parts = [n for each in (left, *right) for n in ast.walk(each)]
                asked = {
                    n.value.id
                    for n in parts
                    if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
                }
                asked |= {"Change" for each in (left, *right) if _names_a_kind(each)}
            case _:
                continue
        if found := asked & KINDS:
            yield getattr(node, "lineno", 0), ", ".join(sorted(found))


def _names_a_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in NAMES


def names(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and name of each comparison with a registered name, and of tables and loops of them."""
    for node in nodes:
        asked: list[ast.expr | None]
        match node:
            case ast.Compare(left=left, comparators=right):
                asked = [left, *right]
            case ast.MatchValue(value=value):
                asked = [value]
            case ast.Dict(keys=keys):
                asked = [*keys]
            case ast.For(iter=each) | ast.comprehension(iter=each):
                asked = [each]
            case _:
                continue
        for name in sorted(REGISTERED.intersection(_constants(asked))):
            yield getattr(node, "lineno", 0), name


def _constants(asked: Iterable[ast.expr | None]) -> Iterator[str]:
    for each in asked:
        match each:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                yield from _constants(parts)


def faults() -> list[str]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT)
        if where.parts[0] not in OWNERS:
            found += [f"{where}:{line}: {kinds}" for line, kinds in branches(nodes(path))]
        if not {where.parts[0], str(where)}.intersection(NAMED):
            found += [f"{where}:{line}: {name!r}" for line, name in names(nodes(path))]
    return found


def test_nothing_outside_its_room_asks_for_a_kind() -> None:
    assert not faults(), "\n".join(faults())


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(batch, TableBatch)",
        "isinstance(x, (int, FilesBatch | ArrowBatch))",
        "match x:\n    case Range(value): pass",
        "if commit.change is Change.REPLACE: pass",
        "x = ref.connector == 'files'",
        "x = project.table_format != 'delta'",
    ],
)
def test_the_test_can_fail(source: str) -> None:
    assert list(branches(ast.walk(ast.parse(source))))


@pytest.mark.parametrize(
    "source",
    [
        "x = dialect != 'duckdb'",
        "x = (query.dialect, engine) == ('spark', 'duckdb')",
        "x = kind in ['delta', 'other']",
        "match x:\n    case 'sqlite': pass",
        "x = {'iceberg': 1}",
        "for x in ('duckdb', other): pass",
        "x = [d for d in ('spark',)]",
    ],
)
def test_names_are_found(source: str) -> None:
    assert list(names(ast.walk(ast.parse(source))))
