"""Finds what a query reads, and makes its executable form.

The executable text is the author's own, with only the names of inputs replaced. sqlglot finds the
names but does not write the query: it could change a construct that it knows less well than the
engine does.
"""

from __future__ import annotations

from itertools import takewhile

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import ParseError

from qanat.declare.calls import (
    function_name,
    read_call,
    read_named,
    reads_outside,
    with_options,
)
from qanat.declare.cursor import SqlText
from qanat.declare.registry import quoted, strip_prefix
from qanat.declare.streams import Stream, closing, find_streams
from qanat.declare.syntax import syntax_error
from qanat.declare.watermarks import (
    EXAMPLE,
    GivenWatermark,
    event_time,
    find_watermark,
    find_windows,
)
from qanat.errors import Problems, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.adapter import Connectors
from qanat.model.dialect import dialect_of
from qanat.model.name import fold, same_in_query
from qanat.model.pipeline import ProjectSpec
from qanat.model.query import Read, SourceRef, SqlQuery, dataset_ref

_UNREAD_FORMATS = ("text", "binaryfile", "avro")
"""What Spark reads as ``format.`path` ``, and no connector does."""


class _Input(Frozen):
    """One input of a query.

    Args:
        start, end: its extent in the text; `end` is exclusive.
        source: what is read.
        streaming: True if it is read with STREAM.
        alias: the alias to add, in SQL; None if the author gave one, or none is needed.
        qualifier: the parts of its name, which may stand before its columns.
        watermark: the clause WATERMARK, if it has one.
    """

    start: int
    end: int
    source: SourceRef
    streaming: bool
    alias: str | None
    qualifier: tuple[str, ...] = ()
    watermark: GivenWatermark | None = None


def parse_query(
    sql: SqlText, tokens: list[Token], owner: str, project: ProjectSpec, connectors: Connectors
) -> SqlQuery:
    """Find the inputs of a query and make it executable.

    Args:
        sql: the text that contains the query.
        tokens: the tokens of the query alone; not empty.
        owner: the name of the flow or view; the inputs' new names contain it.
        project: for the dialect and the prefixes of names.
        connectors: whose table functions may be called.

    Raises:
        DeclarationError: the text does not parse, is no query, or reads something that cannot
            be read.
    """
    start, end = tokens[0].start, tokens[-1].end + 1
    location = sql.at(start)
    kept, streams = find_streams(tokens, project.dialect)
    _refuse_watermarks(sql, kept)
    kept, windows = find_windows(kept)
    tree = _parse(sql, kept, project.dialect)
    if not isinstance(tree, exp.Query | exp.Values | exp.Pivot):
        raise SqlSyntaxError(
            f"not a query: {tokens[0].text.upper()}",
            location=location,
            wanted="SELECT, WITH, FROM, VALUES or PIVOT",
        )
    finder = _Finder(sql, kept, streams, project, connectors)
    inputs = sorted(finder.inputs(tree), key=lambda i: i.start)
    unused = [s for s in streams.values() if not any(i.start == s.start for i in inputs)]
    if unused:
        raise SqlSyntaxError(
            "STREAM does not stand before something that can be read as a stream",
            location=sql.at(unused[0].start),
            wanted="STREAM table or STREAM read_files(…)",
        )
    reads: list[Read] = []
    edits: list[tuple[int, int, str]] = []
    for number, found in enumerate(inputs, 1):
        name = f"__{owner}_{number}"
        text = quoted(name, project.dialect)
        text += f" AS {found.alias}" if found.alias else ""
        edits.append((found.start, found.end, text))
        time = None if found.watermark is None else event_time(sql, found.watermark)
        reads.append(Read(name, found.source, found.streaming, sql.at(found.start), time))
        if found.watermark is not None:
            edits.append((found.watermark.start, found.watermark.end, ""))
    edits += windows
    edits += finder.unqualified(tree, {i.qualifier for i in inputs if len(i.qualifier) > 1})
    rendered, last = [], start
    for begin, stop, text in sorted(edits):
        rendered += [sql.text[last:begin], text]
        last = stop
    rendered.append(sql.text[last:end])
    written = sql.text[start:end]
    return SqlQuery(written, "".join(rendered), project.dialect, tuple(reads), location)


def _refuse_watermarks(sql: SqlText, tokens: list[Token]) -> None:
    """Refuse a clause WATERMARK that stands behind no stream: those behind streams are gone."""
    for i, token in enumerate(tokens):
        found = find_watermark(tokens, i)
        if found is not None and found[0].says_delay:
            raise SqlSyntaxError(
                "WATERMARK stands behind something that is no stream",
                location=sql.at(token.start),
                wanted=f"STREAM table {EXAMPLE}",
                hint="leave it out where all rows are read each time, as in a MATERIALIZED VIEW",
            )


def _parse(sql: SqlText, tokens: list[Token], dialect: str) -> exp.Expression:
    if not tokens:
        raise SqlSyntaxError("the query is empty", location=sql.at(0))
    try:
        trees = Dialect.get_or_raise(dialect).parser().parse(list(tokens), sql.text)
    except ParseError as error:
        raise syntax_error(error, sql, tokens) from error
    except RecursionError as error:
        raise SqlSyntaxError(
            "the query is nested too deeply",
            location=sql.at(tokens[0].start),
            hint="split it: a temporary view can hold a part",
        ) from error
    tree = trees[0] if trees else None
    if not isinstance(tree, exp.Expression):
        raise SqlSyntaxError("the query is empty", location=sql.at(tokens[0].start))
    return tree


class _Finder:
    """Finds what a parsed query reads."""

    def __init__(
        self,
        sql: SqlText,
        tokens: list[Token],
        streams: dict[int, Stream],
        project: ProjectSpec,
        connectors: Connectors,
    ) -> None:
        self.sql = sql
        self.tokens = tokens
        self.streams = streams
        self.project = project
        self.connectors = connectors
        self.index = {token.start: i for i, token in enumerate(tokens)}

    def inputs(self, tree: exp.Expression) -> list[_Input]:
        """The inputs of a query: its tables, without CTEs and functions that read nothing."""
        found, problems = [], Problems()
        for table in tree.find_all(exp.Table):
            start = _start(table)
            if start is None:
                continue
            item = None
            with problems.collecting():
                if isinstance(table.this, exp.Func):
                    item = self._call(table, table.this, start)
                elif not _is_cte(table):
                    item = self._name(table, start)
            if item is not None:
                found.append(item)
        problems.require()
        return found

    def _watermark(self, start: int) -> GivenWatermark | None:
        stream = self.streams.get(start)
        return None if stream is None else stream.watermark

    def _spread(self, start: int, end: int) -> tuple[int, int, bool]:
        """An input's extent with STREAM and its parentheses, and True if it has STREAM."""
        stream = self.streams.get(start)
        if stream is None:
            return start, end, False
        return stream.start, max(end, stream.end), True

    def _opted(self, source: SourceRef, start: int, hinted: bool = False) -> SourceRef:
        """What is read, with the options of its stream.

        Args:
            hinted: whether options stand behind what is no stream; sqlglot takes them for hints.

        Raises:
            SqlSyntaxError: they cannot be understood.
            OptionError: one does not exist or does not fit.
        """
        stream = self.streams.get(start)
        if stream is None:
            if hinted:
                raise SqlSyntaxError(
                    "only a stream has options",
                    location=self.sql.at(start),
                    wanted="STREAM table WITH (…)",
                )
            return source
        if stream.wrong is not None:
            raise SqlSyntaxError(
                "not an option of a stream",
                location=self.sql.at(stream.wrong),
                wanted="STREAM table WITH (skip_change_commits)",
            )
        given = {o.name: (o.value, self.sql.at(o.start)) for o in stream.options}
        return with_options(source, given, self.connectors)

    def _call(self, table: exp.Table, call: exp.Func, start: int) -> _Input | None:
        name = function_name(call)
        if self.connectors.reading(name) is None:
            # sqlglot gives some functions of its own another name than the author wrote.
            name = self.tokens[self.index[start]].text.lower()
        if not reads_outside(name, self.connectors):
            return None
        arguments = (
            [call.this, *call.expressions]
            if not isinstance(call, exp.Anonymous)
            else (call.expressions)
        )
        source = read_call(
            name,
            [a for a in arguments if isinstance(a, exp.Expression)],
            self.project.dialect,
            self.connectors,
            self.sql.at(start),
            lambda node: self.sql.at(self._argument(node, start)),
        )
        begin, end, streaming = self._spread(start, self._closing(self.index[start] + 1))
        if source.dataset is not None:
            name_ = strip_prefix(tuple(source.place.split(".")), self.project)
            own = self.connectors.by_name[source.connector]
            source = own.refer(name_, dict(source.options))
        source = self._opted(source, start)
        alias = None
        if name in ("read_table", "table_changes") and self._takes_alias(table, start):
            alias = self._quoted(source.place.rpartition(".")[2])
        return _Input(begin, end, source, streaming, alias, (), self._watermark(start))

    def _argument(self, node: exp.Expression, start: int) -> int:
        """The offset of an argument; sqlglot keeps no offset of the name before `=>`."""
        if isinstance(node, exp.Kwarg | exp.PropertyEQ | exp.EQ):
            for token in self.tokens[self.index[start] :]:
                if token.text == node.this.name:
                    return token.start
        starts = [int(n.meta["start"]) for n in node.walk() if "start" in n.meta]
        return min(starts, default=start)

    def _closing(self, index: int) -> int:
        """The offset behind the `)` that closes the `(` at this token."""
        found = closing(self.tokens, index)
        return self.tokens[-1 if found is None else found].end + 1

    def _name(self, table: exp.Table, start: int) -> _Input:
        parts = table.parts
        last = parts[-1]
        end = int(last.meta["end"]) + 1
        written = self.sql.text[int(last.meta["start"]) : end]
        names = tuple(p.name for p in parts)
        source, alias = self._source(names, written, start)
        source = self._opted(source, start, bool(table.args.get("hints")))
        if not self._takes_alias(table, start):
            alias = None
        begin, end, streaming = self._spread(start, end)
        qualifier = tuple(fold(n) for n in names)
        return _Input(begin, end, source, streaming, alias, qualifier, self._watermark(start))

    def _takes_alias(self, table: exp.Table, start: int) -> bool:
        """True if an alias may be added: DESCRIBE, SUMMARIZE and TABLE take a bare name."""
        before = self.tokens[self.index[start] - 1] if self.index[start] else None
        described = isinstance(table.parent, exp.Describe | exp.Summarize)
        return not (table.alias or described or (before and before.token_type is TokenType.TABLE))

    def _source(
        self, names: tuple[str, ...], written: str, start: int
    ) -> tuple[SourceRef, str | None]:
        token = self.tokens[self.index[start]]
        dialect, location = self.project.dialect, self.sql.at(start)
        if len(names) == 1 and token.token_type is TokenType.STRING:
            stem = names[0].replace("\\", "/").rpartition("/")[2].partition(".")[0]
            alias = self._quoted(stem) if stem.isidentifier() else None
            return read_named(names[0], None, dialect, self.connectors, location), alias
        prefix = names[0].lower()
        formats = (*_UNREAD_FORMATS, *(f for c in self.connectors.all for f in c.formats))
        path = len(names) == 2 and prefix in formats and written[0] == "`"
        if path and dialect_of(dialect).paths:
            return read_named(names[1], prefix, dialect, self.connectors, location), None
        return dataset_ref(strip_prefix(names, self.project)), written

    def _quoted(self, name: str) -> str:
        return quoted(name, self.project.dialect)

    def unqualified(
        self, tree: exp.Expression, qualifiers: set[tuple[str, ...]]
    ) -> list[tuple[int, int, str]]:
        """Edits that shorten `schema.table.column` to `table.column`, the input's new alias."""
        edits = []
        for column in tree.find_all(exp.Column):
            parts = column.parts
            names = tuple(fold(p.name) for p in parts[:-1])
            if len(names) < 2 or names not in qualifiers:
                continue
            begin, end = parts[0].meta.get("start"), parts[-2].meta.get("start")
            if begin is not None and end is not None:
                edits.append((int(begin), int(end), ""))
        return edits


def _start(table: exp.Table) -> int | None:
    """The offset of a table's first name; None if sqlglot made up the table."""
    start = table.parts[0].meta.get("start") if table.parts else None
    return int(start) if start is not None else None


def _is_cte(table: exp.Table) -> bool:
    """True if a name is that of a common table expression that is visible at its place."""
    if len(table.parts) > 1:
        return False
    child: exp.Expr = table
    while child.parent is not None:
        parent = child.parent
        clause = parent if isinstance(parent, exp.With) else parent.args.get("with_")
        if isinstance(clause, exp.With):
            ctes = clause.expressions
            if parent is clause and not clause.recursive:
                # Without RECURSIVE, a CTE sees only those before it, and not itself.
                ctes = list(takewhile(lambda c: c is not child, ctes))  # noqa: B023 - used at once
            if any(same_in_query(c.alias, table.name) for c in ctes):
                return True
        # Skip the query that owns the WITH: its CTEs were just compared.
        child = parent.parent if parent is clause and parent.parent else parent
    return False
