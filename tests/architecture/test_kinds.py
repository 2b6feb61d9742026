"""Outside the room that owns a kind, nothing asks which kind it is: the kernel is open.

A new source, sink, engine, table format or change arrives as a new file in its room. A branch on
kinds elsewhere would have to learn of it, so there is none, and no list of exceptions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.parsed import nodes

ROOT = Path(__file__).parents[2] / "src" / "qanat"

# The rooms whose adapters make and take these values; what they mean is their affair.
OWNERS = ("connectors", "engines", "storage")

KINDS = {
    "ArrowBatch",
    "Change",
    "Connector",
    "EngineKind",
    "FilesBatch",
    "LedgerKind",
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


def faults() -> list[str]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT)
        if where.parts[0] in OWNERS:
            continue
        found += [f"{where}:{line}: {kinds}" for line, kinds in branches(nodes(path))]
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
