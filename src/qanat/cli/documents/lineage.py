"""The document of `qanat lineage`."""

from __future__ import annotations

from typing import TypedDict

from qanat.cli.documents import VERSION
from qanat.run.results import Lineage, LineageNode


class NodeDocument(TypedDict):
    """A dataset, a source or a column; `expression` is a column's SQL unless it is a copy."""

    name: str
    kind: str
    expression: str | None


class EdgeDocument(TypedDict):
    """`target` is computed from `source`."""

    source: str
    target: str


class LineageDocument(TypedDict):
    """`roots` are the names that were asked for; nodes and edges are everything upstream."""

    version: int
    roots: list[str]
    nodes: list[NodeDocument]
    edges: list[EdgeDocument]


def lineage_document(found: Lineage) -> LineageDocument:
    """The document of a lineage."""
    expressions: dict[str, str] = {}
    waiting: list[LineageNode] = list(found.roots)
    visited: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in visited:
            visited.add(id(node))
            if node.expression:
                expressions[node.name] = node.expression
            waiting += node.upstream
    return {
        "version": VERSION,
        "roots": [root.name for root in found.roots],
        "nodes": [
            {"name": name, "kind": kind, "expression": expressions.get(name)}
            for name, kind in found.nodes.items()
        ],
        "edges": [{"source": here, "target": there} for here, there in found.edges],
    }
