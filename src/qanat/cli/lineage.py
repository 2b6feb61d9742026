"""`qanat lineage`: what a table or a column is made from."""

from __future__ import annotations

import click

from qanat.cli import documents, screen
from qanat.cli.documents.lineage import lineage_document
from qanat.cli.options import Place, output, place
from qanat.observe.terminal.characters import printable
from qanat.run.lineage import lineage
from qanat.run.results import Lineage, LineageNode
from qanat.run.session import Session


@click.command("lineage", short_help="Show what a table or column is made from.")
@click.argument("target", required=False)
@click.option(
    "--format",
    type=click.Choice(["tree", "mermaid", "json"]),
    default="tree",
    help="A tree, a Mermaid diagram, or what --output json prints.  [default: tree]",
)
@place
@output
def command(target: str | None, format: str, place: Place, json: bool) -> int:
    """Show what TARGET, a table or `table.column`, is made from; without TARGET: every table."""
    with Session.open(place.start, place.environment) as workspace:
        found = lineage(workspace, target)
    if json or format == "json":
        screen.write(documents.dumps(lineage_document(found)))
    elif format == "mermaid":
        screen.write("\n".join(mermaid(found)))
    elif found.roots:
        screen.write("\n".join(tree(found)))
    else:
        screen.write("Nothing is declared.")
    return 0


def tree(found: Lineage) -> list[str]:
    """The lines of the trees; what was shown before is not unfolded again."""
    lines: list[str] = []
    seen: set[str] = set()
    for root in found.roots:
        lines += _branch(root, "", "", seen)
    return lines


def _branch(node: LineageNode, first: str, rest: str, seen: set[str]) -> list[str]:
    label = screen.paint(printable(node.name), bold=True)
    label += screen.paint(f" ({printable(node.kind)})", dim=True)
    if node.expression:
        label += f" = {printable(' '.join(node.expression.split()))}"
    if node.name in seen and node.upstream:
        return [f"{first}{label} …"]
    seen.add(node.name)
    lines = [first + label]
    for at, parent in enumerate(node.upstream, 1):
        last = at == len(node.upstream)
        corner, bar = ("└─ ", "   ") if last else ("├─ ", "│  ")
        lines += _branch(parent, rest + corner, rest + bar, seen)
    return lines


def mermaid(found: Lineage) -> list[str]:
    """The lines of a Mermaid flowchart (https://mermaid.js.org)."""
    ids = {name: f"n{at}" for at, name in enumerate(found.nodes)}
    lines = ["flowchart LR"]
    lines += [
        f'  {ids[name]}["{_text(name)}<br/>{_text(kind)}"]' for name, kind in found.nodes.items()
    ]
    lines += [f"  {ids[here]} --> {ids[there]}" for here, there in found.edges]
    return lines


def _text(text: str) -> str:
    """Text between quotes in Mermaid: its own entity codes for what would end or mark it up."""
    special = {character: f"#{ord(character)};" for character in '#"<>&`'}
    return "".join(special.get(c, c) for c in printable(text))
