"""What a table or a column is made from: as a tree, as a Mermaid diagram, as a drawing."""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.report.drawing import Box, drawing
from qanat.report.html import heading, page
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.results import Lineage, LineageNode
from qanat.text import PLAIN, Layout, printable


class Node(Frozen):
    """A dataset, a source or a column; of a column its SQL unless it is a copy."""

    name: str
    kind: str
    expression: str | None
    environment: str | None = None
    project: str | None = None
    table_version: int | None = None

    @property
    def label(self) -> str:
        """Its kind, and whose table it is."""
        return _kind(self.kind, self.environment, self.project, self.table_version)


class Edge(Frozen):
    """`target` is computed from `source`."""

    source: str
    target: str


NODE = Shape(
    "Node",
    Node,
    ("name", "kind", "expression", "environment", "project", "table_version"),
    "A dataset, a source or a column; `expression` is a column's SQL unless it is a copy,\n"
    "`environment` the one whose table is read, if `from` makes it another one's, `project` the\n"
    "name of the project that it is of, if it is another one's; `table_version` is the newest of\n"
    "a table that is read there.",
)
EDGE = Shape("Edge", Edge, ("source", "target"), "`target` is computed from `source`.")
LINEAGE = Shape(
    "LineageDocument",
    Lineage,
    (
        VERSION_KEY,
        Key("roots", of=list[str], make=lambda lineage: [root.name for root in lineage.roots]),
        Key("nodes", of=list[Node], make=lambda lineage: nodes(lineage)),
        Key("edges", of=list[Edge], make=lambda lineage: [Edge(*e) for e in lineage.edges]),
    ),
    "`roots` are the names that were asked for; nodes and edges are everything upstream.",
)
PARTS = (NODE, EDGE)

_NOTHING = "Nothing is declared."


def nodes(lineage: Lineage) -> list[Node]:
    """All nodes, each after what it comes from."""
    expressions: dict[str, str] = {}
    waiting: list[LineageNode] = list(lineage.roots)
    visited: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in visited:
            visited.add(id(node))
            if node.expression:
                expressions[node.name] = node.expression
            waiting += node.upstream
    return [
        Node(
            name,
            kind,
            expressions.get(name),
            lineage.environments.get(name),
            lineage.projects.get(name),
            lineage.versions.get(name),
        )
        for name, kind in lineage.nodes.items()
    ]


def _kind(kind: str, environment: str | None, project: str | None, version: int | None) -> str:
    parts = [f"{kind} of project {project}" if project else kind]
    parts += [f"from {environment}"] if environment else []
    parts += [f"version {version}"] if version is not None else []
    return ", ".join(parts)


def lineage_text(lineage: Lineage, layout: Layout = PLAIN) -> str:
    """Trees, from what was asked for down to the sources.

    What was shown before is not unfolded again.
    """
    lines: list[str] = []
    seen: set[str] = set()
    for root in lineage.roots:
        lines += _branch(root, "", "", seen, layout)
    return "\n".join(lines) if lines else _NOTHING


def _branch(node: LineageNode, first: str, rest: str, seen: set[str], layout: Layout) -> list[str]:
    label = layout.paint(printable(node.name), "bold")
    kind = _kind(node.kind, node.environment, node.project, node.version)
    label += layout.paint(f" ({printable(kind)})", "dim")
    if node.expression:
        label += f" = {printable(' '.join(node.expression.split()))}"
    if node.name in seen and node.upstream:
        return [f"{first}{label} …"]
    seen.add(node.name)
    lines = [first + label]
    for at, parent in enumerate(node.upstream, 1):
        last = at == len(node.upstream)
        corner, bar = ("└─ ", "   ") if last else ("├─ ", "│  ")
        lines += _branch(parent, rest + corner, rest + bar, seen, layout)
    return lines


def lineage_mermaid(lineage: Lineage) -> str:
    """A Mermaid flowchart (https://mermaid.js.org)."""
    ids = {name: f"n{at}" for at, name in enumerate(lineage.nodes)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[n.name]}["{_text(n.name)}<br/>{_text(n.label)}"]' for n in nodes(lineage)]
    lines += [f"  {ids[here]} --> {ids[there]}" for here, there in lineage.edges]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Text between quotes in Mermaid: its own entity codes for what would end or mark it up."""
    special = {character: f"#{ord(character)};" for character in '#"<>&`'}
    return "".join(special.get(c, c) for c in printable(text))


def lineage_html(lineage: Lineage) -> str:
    """A drawing for a notebook: sources on the left, what is made from them to the right."""
    if not lineage.nodes:
        return page(heading(_NOTHING))
    boxes = [Box(n.name, n.label, n.expression or "") for n in nodes(lineage)]
    return page(drawing(boxes, lineage.edges, lineage.references))
