"""Makes datasets, flows and queries of what a Python file declared when it was run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from qanat.declare.arguments import (
    check_conf,
    mapping_of_text,
    names_of,
    optional_text,
    rules_given,
    sink_target,
    text_of,
    with_values,
)
from qanat.declare.calls import with_options
from qanat.declare.capture import (
    Call,
    ChangesCall,
    DatasetCall,
    FlowCall,
    Function,
    RuleCall,
    SnapshotsCall,
    UdfCall,
)
from qanat.declare.captured import FRAME, Captured
from qanat.declare.cdc_call import flow_of_call
from qanat.declare.check.making import expectation_of
from qanat.declare.check.reading import Place
from qanat.declare.check.value import Check
from qanat.declare.checks import check_of_text
from qanat.declare.closure import closure_of
from qanat.declare.columns import Columns, parse_columns
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.frames import PACKAGES, TAKES, returned, taken
from qanat.declare.properties import check_property, check_table_format
from qanat.declare.pyfile import blamed
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, strip_prefix
from qanat.declare.snapshot_call import flow_of_snapshots
from qanat.declare.spark.session import SparkText
from qanat.declare.udf_call import function_of_call
from qanat.errors import (
    Location,
    PythonFileError,
    QanatError,
    UnsupportedError,
    check_installed,
    nearest,
)
from qanat.model.dialect import dialect_of
from qanat.model.expectation import Action, Expectation
from qanat.model.keyed import STRATEGY
from qanat.model.name import same
from qanat.model.pipeline import Dataset, DatasetKind, Flow
from qanat.model.query import FunctionQuery, Query, Read, SourceRef, dataset_ref


def declare_python(path: Path, ran: Captured, registry: Registry) -> None:
    """Add the declarations of a `.py` file, and its problems, to the registry.

    Args:
        path: the file.
        ran: what it declared when it was run.
        registry: gains the declarations and problems.
    """
    with registry.problems.collecting(), registry.nameless(None):
        if ran.error is not None:
            raise ran.error
    registry.problems += ran.capture.problems
    maker = _Maker(path, ran, registry)
    for call, query in zip(ran.capture.calls, ran.queries, strict=True):
        with registry.problems.collecting():
            maker.declare(call, query)
    for udf in ran.capture.functions:
        with registry.problems.collecting():
            maker.function(udf)
    maker.unattached()


class _Maker:
    """Turns the calls of one file into declarations."""

    def __init__(self, path: Path, ran: Captured, registry: Registry) -> None:
        self.path = path
        self.lines = ran.text.splitlines()
        self.capture = ran.capture
        self.helpers = ran.helpers
        self.registry = registry
        self.project = registry.project

    def declare(self, call: Call, result: object) -> None:
        """Make what one call declares; `result` is what its function returned or raised."""
        if isinstance(call, FlowCall):
            self._flow(call, result)
        elif isinstance(call, ChangesCall):
            self.registry.add_flow(flow_of_call(call, self.registry))
        elif isinstance(call, SnapshotsCall):
            self.registry.add_flow(flow_of_snapshots(call, self.registry, self._text_of))
        else:
            self._dataset(call, result)

    def function(self, call: UdfCall) -> None:
        """Make the function of SQL that a call declares."""
        made = function_of_call(call, self._def(call.function), self.registry, self.helpers)
        self.registry.add_function(made)

    def unattached(self) -> None:
        """Add a problem for each expectation on a function that declares no dataset."""
        owners = {
            id(c.function) for c in self.capture.calls if isinstance(c, DatasetCall) and c.function
        }
        for rule in self.capture.rules:
            if id(rule.function) not in owners:
                self.registry.problems.append(
                    PythonFileError(
                        "an expectation stands on a function that declares no dataset",
                        location=rule.location,
                        hint="add @table, @materialized_view or @temporary_view, or give "
                        "create_streaming_table(expect_all=…)",
                    )
                )

    def _dataset(self, call: DatasetCall, result: object) -> None:
        at = self._def(call.function) if call.function else call.location
        with self.registry.nameless(None):
            written = text_of("name", call.name, call.location)
        name = strip_prefix(tuple(written.split(".")), self.project)
        with self.registry.named(Dataset(name, call.kind, at)):
            dataset = self._described(name, call, at)
        self.registry.add(dataset)
        if call.function is None:
            return
        first = call.kind is DatasetKind.STREAMING_TABLE
        query = self._query(call.function, result, name, call, first=first)
        self.registry.add_flow(Flow(name, name, query, at))

    def _described(self, name: str, call: DatasetCall, at: Location) -> Dataset:
        """A dataset with all that its decorator says of it."""
        collecting = self.registry.problems.collecting
        with collecting():
            check_conf(call.spark_conf, call.location)
        sink = None
        if call.kind is DatasetKind.SINK:
            # Declare a wrong sink, too: else every flow into it would be a second problem.
            with collecting():
                sink = sink_target(
                    call.format,
                    call.options,
                    self.registry.connectors,
                    self.project.configuration,
                    call.location,
                )
        elif call.format is not None:
            with collecting():
                written = self._valued(text_of("format", call.format, call.location), call)
                check_table_format(written, self.registry, call.location)
        properties = self._properties(call)
        for key, value in properties.items():
            with collecting():
                check_property(key, value, call.location)
        comment = optional_text("comment", call.comment, call.location)
        columns = self._columns(call)
        self.registry.problems += columns.problems
        return Dataset(
            name,
            call.kind,
            at,
            schema=columns.schema,
            expectations=(*columns.expectations, *self._expectations(call)),
            partition_by=self._names("partition_cols", call.partition_cols, call),
            cluster_by=self._names("cluster_by", call.cluster_by, call),
            comment=comment and self._valued(comment, call),
            properties=tuple(properties.items()),
            sink=sink,
            keys=self._names("keys", call.keys, call),
        )

    def _properties(self, call: DatasetCall) -> dict[str, str]:
        given = mapping_of_text("table_properties", call.table_properties, call.location)
        properties = {key: self._valued(value, call) for key, value in given.items()}
        name = "incremental_strategy"
        strategy = optional_text(name, call.incremental_strategy, call.location)
        if strategy is None:
            return properties
        if any(same(key, STRATEGY) for key in properties):
            raise PythonFileError(
                f"{name} is given twice: as an argument and as {STRATEGY} in table_properties",
                location=call.location,
            )
        return {**properties, STRATEGY: self._valued(strategy, call)}

    def _valued(self, text: str, call: DatasetCall) -> str:
        return with_values(text, self.project.configuration, call.location)

    def _names(self, argument: str, value: object, call: DatasetCall) -> tuple[str, ...]:
        return tuple(self._valued(n, call) for n in names_of(argument, value, call.location))

    def _flow(self, call: FlowCall, result: object) -> None:
        at = self._def(call.function)
        check_conf(call.spark_conf, call.location)
        name = text_of("name", call.name, call.location)
        target = text_of("target", call.target, call.location)
        target = strip_prefix(tuple(target.split(".")), self.project)
        query = self._query(call.function, result, name, call, first=True)
        self.registry.add_flow(Flow(name, target, query, at, once=bool(call.once)))

    def _columns(self, call: DatasetCall) -> Columns:
        if call.schema is None:
            return Columns()
        if not isinstance(call.schema, str):
            raise PythonFileError(
                "schema does not fit",
                location=call.location,
                wanted="columns as text, such as 'id BIGINT NOT NULL, at TIMESTAMP'",
                got=type(call.schema).__name__,
            )
        schema = self._valued(call.schema, call)
        sql = SqlText.of_function(f"({schema})", call.location)
        cursor = Cursor(sql, sql.tokens(self.project.dialect))
        columns = parse_columns(cursor, self.registry)
        if cursor.word is not None:
            raise cursor.unexpected("the end of the schema")
        return columns

    def _expectations(self, call: DatasetCall) -> Iterator[Expectation]:
        # Python applies decorators from the bottom up; authors read them from the top down.
        mine = [r for r in reversed(self.capture.rules) if r.function is call.function]
        for rules in (*(mine if call.function else ()), *call.rules):
            yield from self._rules(rules)

    def _rules(self, call: RuleCall) -> Iterator[Expectation]:
        given: Sequence[tuple[str | None, str | Check]] = ()
        with self.registry.problems.collecting():
            given = rules_given(call.rules, call.location)
        for name, rule in given:
            with self.registry.problems.collecting():
                yield self._expectation(name, rule, call)

    def _expectation(self, name: str | None, rule: str | Check, call: RuleCall) -> Expectation:
        if isinstance(rule, Check):
            named = rule if name is None else rule.named(name)
            said = named.get("action")
            if call.action is not Action.WARN and said not in (None, call.action):
                raise PythonFileError(
                    f"a check says {said}, and its decorator {call.action}",
                    location=call.location,
                    hint="leave one of them out; @expect_all takes checks of any action",
                )
            return expectation_of(named, Place(self.registry, call.location), call.action)
        sql = SqlText.of_function(rule, call.location).expand(self.project.configuration)
        return check_of_text(sql, name or "", call.action, call.location, self.registry)

    def _query(
        self,
        function: Function,
        result: object,
        owner: str,
        call: DatasetCall | FlowCall,
        *,
        first: bool,
    ) -> Query:
        if isinstance(result, QanatError):
            raise result
        at = self._def(function)
        signature = inspect.signature(function)
        streams = self._streams(list(signature.parameters), call.stream, call.location, first)
        if result is not FRAME:
            return self._sql(result, function, owner, at)
        names = getattr(function, "__globals__", {})
        reads, takes = [], []
        for parameter in signature.parameters.values():
            takes.append(self._takes(parameter, function, names, at))
            source = self._source(parameter.name, call)
            reads.append(Read(parameter.name, source, parameter.name in streams, at))
        text = self._text_of(function)
        kind = returned(signature.return_annotation, names) or "any"
        for each in (*takes, kind):
            with self.registry.problems.collecting():
                check_installed(f"{function.__name__}()", PACKAGES.get(each, ()), location=at)
        return FunctionQuery(function, text, tuple(reads), tuple(takes), kind, at)

    def _text_of(self, function: Function) -> str:
        """What stands for a function in a definition: its source text, and what it uses."""
        with blamed(self.capture, self.path):
            text = inspect.getsource(function)
            used = closure_of(function, self.project.root).splitlines()
            used += [f"the project's modules {self.helpers}"] if self.helpers else []
        return "\n".join([text, *(f"# with {line}" for line in used)])

    def _source(self, name: str, call: DatasetCall | FlowCall) -> SourceRef:
        """The dataset that a parameter stands for, with the options of its stream."""
        source = dataset_ref(name)
        options = call.stream.get(name) if isinstance(call.stream, Mapping) else None
        if options is None:
            return source
        if not isinstance(options, Mapping):
            raise PythonFileError(
                f"the options of stream {name!r} do not fit",
                location=call.location,
                wanted='options by name, such as {"skip_change_commits": True}',
                got=type(options).__name__,
            )
        given = {str(key): (value, call.location) for key, value in options.items()}
        return with_options(source, given, self.registry.connectors)

    def _streams(
        self, parameters: list[str], stream: Any, called: Location, first: bool
    ) -> tuple[str, ...]:
        if stream is None:
            return tuple(parameters[:1]) if first else ()
        if isinstance(stream, Mapping):
            stream = tuple(stream)
        chosen = names_of("stream", (stream,) if isinstance(stream, str) else stream, called)
        for name in chosen:
            if name not in parameters:
                raise PythonFileError(
                    f"stream names no parameter: {name!r}",
                    location=called,
                    nearest=nearest(name, parameters),
                )
        return chosen

    def _takes(
        self, parameter: inspect.Parameter, function: Function, names: dict[str, Any], at: Location
    ) -> str:
        kind = taken(parameter.annotation, names)
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        if kind is None or parameter.kind not in named:
            raise PythonFileError(
                f"parameter {parameter.name!r} of {function.__name__}() is not a data frame",
                location=at,
                wanted=f"{parameter.name}: {TAKES}",
                hint="parameters are named after the datasets that the function reads",
            )
        return kind

    def _sql(self, result: Any, function: Function, owner: str, at: Location) -> Query:
        sql = SqlText.of_function(_sql_text(result, function, at, self.project.dialect), at)
        sql = sql.expand(self.project.configuration)
        tokens = sql.tokens(self.project.dialect)
        missing = sql.missing_key(tokens, self.project.configuration)
        if missing is not None:
            raise missing
        while tokens and sql.text[tokens[-1].start] == ";":
            tokens.pop()
        if not tokens:
            raise PythonFileError(f"{function.__name__}() returned empty SQL", location=at)
        return parse_query(sql, tokens, owner, self.project, self.registry.connectors)

    def _def(self, function: Callable[..., Any]) -> Location:
        """The location of `def`; the code object only has the line of the first decorator."""
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is None:
            return self.capture.place(str(self.path), None)
        line = code.co_firstlineno
        if code.co_filename == str(self.path):
            for number in range(line, len(self.lines) + 1):
                text = self.lines[number - 1]
                if text.lstrip().startswith(("def ", "async def ")):
                    column = len(text) - len(text.lstrip()) + 1
                    return self.capture.place(code.co_filename, number, column)
        return self.capture.place(code.co_filename, line)


def _sql_text(result: Any, function: Function, at: Location, dialect: str) -> str:
    if isinstance(result, SparkText) and result.dialect != dialect:
        raise UnsupportedError(
            f"{function.__name__}() returned a frame of Spark, and the project writes {dialect}",
            location=at,
            hint="write dialect: spark in the spec, or return SQL text",
        )
    if isinstance(result, str):
        return result
    origin = type(result).__module__.partition(".")[0]
    if origin == "ibis":
        written = dialect_of(dialect).ibis or dialect
        return str(import_module("ibis").to_sql(result, dialect=written))
    if origin == "pyspark":
        raise UnsupportedError(
            f"{function.__name__}() returned a Spark data frame",
            location=at,
            hint="return SQL text or an Ibis expression: both run on every engine",
        )
    raise PythonFileError(
        f"{function.__name__}() returned {type(result).__name__}",
        location=at,
        wanted="SQL text, an Ibis expression, or an Arrow, Polars or pandas table",
        hint="is a `return` missing?" if result is None else None,
    )
