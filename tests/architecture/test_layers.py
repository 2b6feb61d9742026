"""The layers of docs/architecture.md: imports point one way, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.parsed import nodes

ROOT = Path(__file__).parents[2] / "src" / "qanat"

# From the foundation to the roof; a room may import rooms of earlier rows, and itself.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("frozen",),
    ("digest", "secret", "text"),
    ("errors", "model"),
    ("ports",),
    ("declare", "quality", "planning", "dialect"),
    ("disk",),
    ("compression", "descriptors", "http", "objects", "plugins"),
    ("engines", "storage", "ledgers", "connectors", "observe"),
    ("run",),
    ("report",),
    ("orchestrate",),
    ("crash", "project"),
    ("cli",),
    ("testing",),
)
# The two names a user imports: they hand out what lower layers define and nothing imports them.
FACADE = {"__init__", "__main__", "check", "pipelines"}
ROW = {room: row for row, rooms in enumerate(LAYERS) for room in rooms}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("qanat", *parts))
        found[name.removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path, known: frozenset[str] = frozenset()) -> set[str]:
    """Every module of ours that a file imports: type-only and in-function imports too."""
    found: set[str] = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, *([base] if base else [])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            # The version is a constant of the facade, and the only thing taken from it.
            if names != {"qanat.__version__"}:
                # `from package import module` needs that module, not what the package hands out.
                found |= names if names <= known else names | {base}
    return {f for f in found if f == "qanat" or f.startswith("qanat.")}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def wrong(name: str, target: str) -> str | None:
    mine, theirs = room(name), room(target)
    if mine in FACADE or mine == theirs:
        # Adapters of one room are strangers too: engines.duckdb never imports engines.spark.
        if mine == theirs and mine in LAYERS[ROW["engines"]]:
            here, there = name.split(".")[2:3], target.split(".")[2:3]
            if here and there and here != there:
                return f"{name} imports its neighbour {target}"
        return None
    if theirs in FACADE:
        return None if target == "qanat.__version__" else f"{name} imports the facade {target}"
    if theirs not in ROW:
        return f"{target} is in no layer"
    if ROW[theirs] >= ROW[mine] and {mine, theirs} != {"errors", "model"}:
        return f"{name} imports {target}, which is not below it"
    return None


def test_every_room_has_a_layer_and_every_layer_its_rooms() -> None:
    rooms = {room(name) for name in modules()} - FACADE
    assert rooms == set(ROW), f"no layer, or no room: {sorted(rooms ^ set(ROW))}"


def test_imports_point_down() -> None:
    known = modules()
    faults = []
    for name, path in known.items():
        for target in imports(name, path, frozenset(known)):
            real = target if target in known else target.rpartition(".")[0]
            if target == "qanat.__version__" or real == "qanat":
                real = target if target == "qanat.__version__" else real
            fault = wrong(name, real) if real != name else None
            if fault:
                faults.append(fault)
    assert not faults, "\n".join(sorted(faults))


def test_no_import_cycles() -> None:
    known = modules()
    names = frozenset(known)
    graph = {n: imports(n, p, names) & names - {n} for n, p in known.items()}
    # A package's __init__ that hands out its own modules is no cycle by itself.
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> None:
        if node in path:
            pytest.fail("import cycle: " + " -> ".join([*path[path.index(node) :], node]))
        if node in done:
            return
        path.append(node)
        for target in sorted(graph[node]):
            visit(target)
        path.pop()
        done.add(node)

    for name in sorted(graph):
        visit(name)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("qanat.model.pipeline", "qanat.run.update"),
        ("qanat.engines.duckdb.engine", "qanat.storage.delta.log"),
        ("qanat.engines.duckdb.engine", "qanat.engines.spark.engine"),
        ("qanat.declare.query", "qanat.planning.graph"),
        ("qanat.run.update", "qanat.testing.reading"),
        ("qanat.ports.engine", "qanat"),
        ("qanat.report.table", "qanat.project.table"),
        ("qanat.text", "qanat.ports.engine"),
    ],
)
def test_the_test_can_fail(name: str, target: str) -> None:
    assert wrong(name, target)
