"""A small project that stands in for a dataset and its inputs, in a folder of its own.

An input that is a dataset becomes a streaming table that is fed by files in that folder; what is
read outside the project becomes those files. The dataset, the temporary views that it reads and
all flows into it are the author's. So what a unit test computes goes through the same write path
as the rows of the project itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qanat import plugins
from qanat.declare.library import load_pipeline
from qanat.errors import DatasetNotFoundError, PlanError, Problems, nearest
from qanat.frozen import Frozen
from qanat.model.name import Named, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline, ProjectSpec
from qanat.model.query import Read, SourceRef
from qanat.model.schema import Field, Primitive, Schema
from qanat.planning.order import build_graph
from qanat.run.analysis import compiled
from qanat.run.operators import operators_of, with_results
from qanat.run.session import Session
from qanat.text import literal, quote

_ROW = "__given"
"""The column that tells the rows of an input from one that is only there to make its table."""


class Input(Frozen):
    """One input of a dataset that is tested.

    Args:
        name: as a test calls it: a dataset's name, or the path or table.
        table: of the stand-in.
        outside: whether it is no dataset of the project.
        columns: None if they are not known; then the rows tell.
    """

    name: str
    table: str
    outside: bool = False
    columns: Schema | str | None = None


class StandIn(Frozen):
    """The stand-in of one dataset.

    Args:
        folder: of its own.
        inputs: by name.
    """

    folder: Path
    session: Session
    dataset: str
    inputs: Named[Input]

    def put(self, input_: Input, step: int, rows: Sequence[Mapping[str, object]]) -> None:
        """Let rows come into an input."""
        lines = [json.dumps(dict(row) if input_.outside else {**row, _ROW: True}) for row in rows]
        if not input_.outside:
            lines.append("{}")
        file = self.folder / "given" / input_.table / f"{step}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def stand_in(
    session: Session,
    folder: Path,
    name: str,
    given: Sequence[str],
    columns: Named[Schema],
) -> StandIn:
    """The stand-in of a dataset.

    Args:
        session: the author's project.
        folder: empty, to be removed by the caller.
        name: of the dataset.
        given: what tests give rows to; a temporary view among them is not computed.
        columns: by dataset, what is known of its columns.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        PlanError: it is a sink, or reads something that is not given.
    """
    dataset = session.pipeline.get(name)
    if dataset is None:
        known = [d.name for d in session.pipeline.datasets]
        raise DatasetNotFoundError(f"{name} is not declared", nearest=nearest(name, known))
    if dataset.sink is not None:
        raise PlanError(f"{name} is a sink: it has no rows to look at; test what feeds it")
    wanted = _wanted(session.pipeline, dataset, given)
    inputs = Named((n, i) for n, i in ((i.name, i) for i in _inputs(wanted, given, columns)))
    for each in given:
        if each not in inputs:
            raise PlanError(
                f"{dataset.name} does not read {each}",
                wanted=", ".join(i.name for i in inputs.values()),
                nearest=nearest(each, list(inputs)),
            )
    project = _project(session.project, folder)
    declared = _declared(project, inputs)
    datasets = tuple(_computed(d, wanted) for d in wanted.datasets)
    files = {f.target: f.query.reads[0].source for f in declared.flows}
    outside = Named((i.name, files[i.table]) for i in inputs.values() if i.outside)
    flows = tuple(_fed_by(flow, outside) for flow in wanted.flows)
    inside = {i.table for i in inputs.values() if not i.outside}
    pipeline = Pipeline(
        project,
        (*(d for d in declared.datasets if d.name in inside), *datasets),
        (*(f for f in declared.flows if f.target in inside), *flows),
        session.pipeline.functions,
    )
    operators, _ = operators_of(pipeline, session.dialect)
    pipeline = with_results(pipeline, operators)
    graph, problems = build_graph(pipeline, True, lambda _: False)
    Problems(problems).require()
    analysis = compiled(pipeline, graph, session.dialect, operators)
    return StandIn(folder, Session(project, analysis, ()), dataset.name, inputs)


class _Wanted(Frozen):
    """What of the author's declarations is computed: the dataset, and views that it reads."""

    datasets: tuple[Dataset, ...]
    flows: tuple[Flow, ...]
    reads: tuple[Read, ...]


def _wanted(pipeline: Pipeline, dataset: Dataset, given: Sequence[str]) -> _Wanted:
    datasets: list[Dataset] = []
    flows: list[Flow] = []
    reads: list[Read] = []

    def gather(each: Dataset) -> None:
        if any(same(each.name, d.name) for d in datasets):
            return
        datasets.append(each)
        for flow in pipeline.flows_into(each.name):
            flows.append(flow)
            for read in flow.query.reads:
                view = pipeline.get(read.source.dataset or "")
                is_view = view is not None and view.kind is DatasetKind.TEMPORARY_VIEW
                if view is None or not is_view or any(same(view.name, g) for g in given):
                    reads.append(read)
                else:
                    gather(view)

    gather(dataset)
    return _Wanted(tuple(datasets), tuple(flows), tuple(reads))


def _inputs(wanted: _Wanted, given: Sequence[str], columns: Named[Schema]) -> Iterator[Input]:
    rules = [e.rule for d in wanted.datasets for e in d.expectations]
    for name in dict.fromkeys(name for r in rules for name in r.datasets):
        yield Input(name, name, columns=columns.get(name))
    for number, read in enumerate(wanted.reads, 1):
        if (of := read.source.dataset) is not None:
            yield Input(of, of, columns=columns.get(of))
            continue
        schema = read.source.option("schema")
        place, told = read.source.place, str(schema) if schema else None
        yield Input(place, f"given_{number}", outside=True, columns=told)


def _project(project: ProjectSpec, folder: Path) -> ProjectSpec:
    """The author's settings, with tables in a folder that is soon gone."""
    allowed = project.allowed_folders
    return replace(
        project,
        storage=str(folder / "storage"),
        table_format="delta",
        storage_options={},
        ledger=None,
        observers=(),
        reads_from=None,
        threads=1,
        allowed_folders=None if allowed is None else (*allowed, str(folder)),
    )


def _declared(project: ProjectSpec, inputs: Named[Input]) -> Pipeline:
    """The streaming tables that stand in for the inputs."""
    folder = Path(project.storage).parent
    (folder / "inputs.sql").write_text(
        "\n".join(_statement(folder, each) for each in inputs.values()), encoding="utf-8"
    )
    own = replace(project, root=folder, libraries=("inputs.sql",), dialect="duckdb")
    if not inputs:
        return Pipeline(own, (), ())
    found = load_pipeline(own, plugins.connectors(), plugins.formats())
    Problems(found.problems).require()
    return found.pipeline


def _statement(folder: Path, input_: Input) -> str:
    place = literal(str(folder / "given" / input_.table / "*.json"))
    if input_.outside:
        schema = f", schema => {literal(str(input_.columns))}" if input_.columns else ""
        source = f"read_files({place}, format => 'ndjson'{schema})"
        return f"CREATE STREAMING TABLE {quote(input_.table)} AS SELECT * FROM STREAM {source};"
    columns = input_.columns
    if isinstance(columns, Schema):
        fields = [*columns.fields, Field(_ROW, Primitive("boolean"))]
        columns = ", ".join(f"{quote(f.name)} {f.type}" for f in fields)
    schema = f", schema => {literal(columns)}" if columns else ""
    source = f"read_files({place}, format => 'ndjson'{schema})"
    rows = f"SELECT * EXCLUDE ({_ROW}) FROM STREAM {source} WHERE {_ROW}"
    return f"CREATE STREAMING TABLE {quote(input_.table)} AS {rows};"


def _computed(dataset: Dataset, wanted: _Wanted) -> Dataset:
    """The dataset with a table; a temporary view that is tested itself gets one."""
    if dataset is not wanted.datasets[0] or dataset.kind is not DatasetKind.TEMPORARY_VIEW:
        return dataset
    streams = any(r.streaming for f in wanted.flows for r in f.query.reads)
    kind = DatasetKind.STREAMING_TABLE if streams else DatasetKind.MATERIALIZED_VIEW
    return replace(dataset, kind=kind)


def _fed_by(flow: Flow, outside: Named[SourceRef]) -> Flow:
    """The flow with files in place of what it reads outside the project."""
    reads = tuple(
        replace(read, source=outside.get(read.source.place, read.source))
        if read.source.dataset is None
        else read
        for read in flow.query.reads
    )
    return replace(flow, query=replace(flow.query, reads=reads))
