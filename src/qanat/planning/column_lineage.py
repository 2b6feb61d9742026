"""Column lineage: what a column is made from, through all datasets down to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import ColumnNotFoundError, nearest
from qanat.model.changes import Expression
from qanat.model.dialect import DIALECTS
from qanat.model.name import Name, Named, Names, fold, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline
from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.query import FunctionQuery, Read, SourceRef, SqlQuery
from qanat.model.schema import Schema
from qanat.planning.graph import Graph, resolve
from qanat.planning.lineage import (
    FUNCTION,
    HERE,
    Abroad,
    Lineage,
    LineageNode,
    as_graph,
    dataset_of,
    source_node,
)
from qanat.planning.projection import Made, Origin, Projection
from qanat.secret import masked

_Key = tuple[str, Name]
"""A dataset's name and one of its columns."""

_FEW = 20
"""A message lists the known columns up to this many."""


def split_target(pipeline: Pipeline, target: str) -> tuple[Dataset, str | None]:
    """The dataset and the column that `table` or `table.column` means.

    Raises:
        DatasetNotFoundError: no file declares the dataset; names the nearest.
    """
    table, dot, column = target.rpartition(".")
    # A dataset's own name may contain dots, so a whole name that exists is not split.
    if dot and resolve(pipeline, target) is None:
        return dataset_of(pipeline, table), column
    return dataset_of(pipeline, target), None


def column_lineage(
    pipeline: Pipeline,
    graph: Graph,
    schemas: Mapping[str, Schema],
    dataset: Dataset,
    column: str,
    abroad: Abroad = HERE,
) -> Lineage:
    """The lineage of one column.

    Args:
        pipeline: the declarations.
        graph: the order of the pipeline's datasets.
        schemas: the columns of datasets by name, as far as they are known.
        dataset: the dataset that has the column.
        column: the column's name, compared without case.
        abroad: how it goes on in other projects.

    Raises:
        ColumnNotFoundError: the dataset is known to have no such column; names the nearest.
    """
    tracer = _Tracer(pipeline, graph, Named(schemas), abroad)
    tracer.learn({dataset.name, *graph.upstream(dataset.name)})
    known = tracer.columns.get(dataset.name)
    if known is not None and column not in Names(known):
        raise ColumnNotFoundError(
            f"{dataset.name} has no column {column!r}",
            wanted=", ".join(known) if len(known) <= _FEW else None,
            nearest=nearest(column, known),
        )
    return as_graph((tracer.node(dataset, column),))


def direct_origins(
    pipeline: Pipeline,
    graph: Graph,
    schemas: Mapping[str, Schema],
    dataset: Dataset,
    abroad: Abroad = HERE,
) -> Mapping[str, tuple[Made, ...]]:
    """By column of a dataset, how each of its flows makes it of columns that are stored.

    Temporary views are seen through. Arguments are those of `column_lineage`.
    """
    tracer = _Tracer(pipeline, graph, Named(schemas), abroad)
    views = {n for n in graph.upstream(dataset.name) if _is_view(pipeline.dataset(n))}
    tracer.learn({dataset.name, *views, *(n for n in schemas if pipeline.get(n) is not None)})
    columns = tracer.columns.get(dataset.name, ())
    return {column: tuple(tracer.made(dataset.name, column)) for column in columns}


def _is_view(dataset: Dataset) -> bool:
    return dataset.kind is DatasetKind.TEMPORARY_VIEW


@dataclass(slots=True)
class _Tracer:
    """Follows columns from query to query.

    Attributes:
        columns: the columns of datasets, by name, where they are known.
        projections: what each flow's query computes, by the flow's name.
    """

    pipeline: Pipeline
    graph: Graph
    schemas: Named[Schema]
    abroad: Abroad
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    projections: dict[str, Projection] = field(default_factory=dict)

    def learn(self, datasets: set[str]) -> None:
        """Learn the columns of datasets, each dataset after everything that it reads."""
        for name in self.graph.order:
            if name not in datasets:
                continue
            dataset = self.pipeline.dataset(name)
            schema = self.schemas.get(name, dataset.schema)
            if schema.fields:
                self.columns[name] = schema.names
            found: list[str] | None = []
            for flow in self.pipeline.flows_into(name):
                names = self._project(flow, self.columns.get(name, ()))
                found = None if found is None or names is None else [*found, *names]
            if found and name not in self.columns:
                self.columns[name] = tuple(Names(found))

    def node(self, dataset: Dataset, column: str) -> LineageNode:
        """The lineage tree of one column, built without recursion: chains may be long."""
        position = {name: i for i, name in enumerate(self.graph.order)}
        start = (dataset.name, fold(column))
        spelled = {start: column}
        made: dict[_Key, list[tuple[Flow, Made]]] = {}
        stack = [start]
        while stack:
            key = stack.pop()
            if key in made:
                continue
            made[key] = list(self._made(*key))
            for _, each in made[key]:
                for origin in each.origins:
                    above = self._key(origin)
                    if above is not None:
                        spelled.setdefault(above, str(origin.column))
                        stack.append(above)
        nodes: dict[_Key, LineageNode] = {}
        for key in sorted(made, key=lambda k: position[k[0]]):
            upstream: dict[str, LineageNode] = {}
            for flow, each in made[key]:
                parents = [self._origin(o, key, spelled, nodes) for o in each.origins]
                found = {n.name: n for n in parents if n is not None}
                if isinstance(flow.query, FunctionQuery):
                    name = f"{flow.name}()"
                    found = {name: LineageNode(name, FUNCTION, tuple(found.values()))}
                upstream |= found
            expressions = dict.fromkeys(m.expression for _, m in made[key] if m.expression)
            nodes[key] = LineageNode(
                self._name(key, spelled),
                "column",
                tuple(upstream.values()),
                masked("; ".join(expressions)),
            )
        return nodes[start]

    def made(self, name: str, column: str, below: frozenset[_Key] = frozenset()) -> Iterator[Made]:
        """How each flow into a dataset makes a column, of columns that are stored."""
        for _, made in self._made(name, column):
            origins: dict[Origin, None] = {}
            expressions = [made.expression]
            for origin in made.origins:
                key = self._key(origin)
                if key is None or key in below or not _is_view(self.pipeline.dataset(key[0])):
                    origins[origin] = None
                    continue
                for each in self.made(key[0], str(origin.column), below | {key}):
                    origins |= dict.fromkeys(each.origins)
                    expressions.append(each.expression)
            yield Made(masked("; ".join(filter(None, expressions))), tuple(origins))

    # -- one query ---------------------------------------------------------------------------

    def _project(self, flow: Flow, wanted: tuple[str, ...]) -> tuple[str, ...] | None:
        query = flow.query
        if not isinstance(query, SqlQuery):
            return None
        known = {r.name: c for r in query.reads if (c := self._columns_of(r)) is not None}
        times = _times(flow)
        projection = Projection(query, known, tuple(c for c in wanted if c not in times))
        self.projections[flow.name] = projection
        names = projection.names
        if names is None or flow.changes is None:
            return names
        return (*flow.changes.given(names), *times)

    def _columns_of(self, read: Read) -> tuple[str, ...] | None:
        name = read.source.dataset
        if name is None:
            return _declared(read.source) or self.abroad.columns(read.source)
        found = resolve(self.pipeline, name)
        columns = self.columns.get(found.name) if found else None
        if columns is None or found is None:
            return columns
        more = () if same(name, found.name) else QUARANTINE_FIELDS
        return (*columns, *(f.name for f in (*more, *read.source.adds)))

    def _made(self, name: str, column: str) -> Iterator[tuple[Flow, Made]]:
        """Each flow into a dataset that makes a column, and how it makes it."""
        for flow in self.pipeline.flows_into(name):
            if isinstance(flow.query, FunctionQuery):
                yield flow, Made("", tuple(self._all(flow.query)))
                continue
            projection = self.projections.get(flow.name)
            if projection is None:
                continue
            makers = flow.changes.makers(column) if flow.changes is not None else None
            if makers is not None:
                called = flow.changes.called if flow.changes is not None else {}
                yield flow, _computed(makers, called, projection)
                continue
            left_out = flow.changes is not None and not flow.changes.given([column])
            found = None if left_out else projection.made(column)
            if found is not None:
                yield flow, found

    def _all(self, query: FunctionQuery) -> Iterator[Origin]:
        """All columns of a Python function's inputs: it may use any of them for any result."""
        for read in query.reads:
            columns = self._columns_of(read)
            for column in columns if columns is not None else (None,):
                yield Origin(read, column)

    # -- nodes -------------------------------------------------------------------------------

    def _key(self, origin: Origin) -> _Key | None:
        name = origin.read.source.dataset
        if name is None or origin.column is None or _is_added(origin):
            return None
        found = resolve(self.pipeline, name)
        return (found.name, fold(origin.column)) if found is not None else None

    def _origin(
        self,
        origin: Origin,
        reader: _Key,
        spelled: Mapping[_Key, str],
        nodes: Mapping[_Key, LineageNode],
    ) -> LineageNode | None:
        source = origin.read.source
        if source.dataset is None:
            known = None
            if origin.column is not None:
                known = self.abroad.column(source, str(origin.column))
            if known is not None:
                return known
            outside = source_node(source)
            if origin.column is None:
                return LineageNode(f"? in {outside.name}", "unknown")
            return LineageNode(f"{origin.column} in {outside.name}", f"{outside.kind} column")
        key = self._key(origin)
        if _is_added(origin):
            return LineageNode(f"{origin.column} in {source.label}", "column")
        if key is None:
            return LineageNode(f"{source.dataset}.?", "unknown")
        if key == reader:
            # The dataset reads its own quarantine back: the column is not made from itself.
            return None
        # In a cycle of datasets the parent is not built yet: name it without its own parents.
        return nodes.get(key) or LineageNode(self._name(key, spelled), "column")

    def _name(self, key: _Key, spelled: Mapping[_Key, str]) -> str:
        name, column = key
        known = Names(self.columns.get(name, ()))
        return f"{name}.{known.find(column) or spelled[key]}"


def _is_added(origin: Origin) -> bool:
    """True of a column that only the read has, and not the dataset itself."""
    return origin.column is not None and origin.column in Names(
        f.name for f in origin.read.source.adds
    )


def _times(flow: Flow) -> Names:
    """The columns that changes add to those of the query."""
    return Names(flow.changes.adds if flow.changes is not None else ())


def _computed(
    makers: Sequence[Expression], called: Mapping[str, bool], projection: Projection
) -> Made:
    """What expressions over a row of the query are made from.

    Args:
        called: what they call rows: by name, whether it is a row of the query.
    """
    origins: dict[Origin, None] = {}
    for value in makers:
        tree = parse_one(value.sql, dialect=value.dialect, into=exp.Condition)
        # Of `a.b`, `a` is the column: the expression sees columns without a table's name.
        for column in tree.find_all(exp.Column):
            names = [part.name for part in column.parts]
            mine = called.get(fold(names[0])) if len(names) > 1 else None
            if mine is False:
                continue  # a value that the row has already
            made = projection.made(names[1] if mine else names[0])
            origins |= dict.fromkeys(made.origins if made else ())
    written = ", ".join(v.sql for v in makers)
    return Made(written or "the version of the snapshot", tuple(origins))


def _declared(source: SourceRef) -> tuple[str, ...] | None:
    """The columns that the option `schema` declares, as in `read_files(…, schema => '…')`."""
    text = source.option("schema")
    if not isinstance(text, str):
        return None
    for dialect in DIALECTS:
        try:
            tree = parse_one(f"CREATE TABLE t ({text})", dialect=dialect.name)
        except SqlglotError:
            continue
        return tuple(c.name for c in tree.find_all(exp.ColumnDef) if c.parent is tree.this)
    return None
