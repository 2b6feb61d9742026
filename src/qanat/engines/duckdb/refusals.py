"""What DuckDB finds wrong with an author's query or rule, told in the author's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import duckdb
from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

from qanat.engines.duckdb.faults import BY_DATA, QUOTING, plain
from qanat.errors import (
    ColumnNotFoundError,
    ConversionError,
    DatasetNotFoundError,
    FunctionNotFoundError,
    Location,
    QanatError,
    QueryError,
    TypeNameError,
    nearest,
)
from qanat.model.expectation import Expectation
from qanat.model.name import Names, same
from qanat.model.query import Computation, SqlQuery


def locate(
    query: Computation, snippet: str, *, bare: bool = False, last: bool = False
) -> Location | None:
    """The first occurrence of some SQL in a query, comments and strings aside.

    Args:
        snippet: a name or a longer piece of SQL; spaces and case do not matter.
        bare: only where no `table.` stands before it.
        last: where its last word stands, not its first.
    """
    # The text that a Python function returned has no lines in the file that it is in.
    if not isinstance(query, SqlQuery) or query.location.file.endswith(".py"):
        return None
    wanted = _tokens(snippet, query.dialect)
    tokens = _tokens(query.text, query.dialect)
    for start in range(len(tokens) - len(wanted) + 1 if wanted else 0):
        found = tokens[start : start + len(wanted)]
        if not all(_same(a, b) for a, b in zip(found, wanted, strict=True)):
            continue
        if bare and start and tokens[start - 1].token_type is TokenType.DOT:
            continue
        return query.at(found[-1 if last else 0].start)
    return None


def _tokens(text: str, dialect: str) -> list[Token]:
    try:
        return Dialect.get_or_raise(dialect).tokenize(text)
    except SqlglotError:
        return []


def _same(mine: Token, wanted: Token) -> bool:
    strings = (mine.token_type is TokenType.STRING, wanted.token_type is TokenType.STRING)
    return strings[0] == strings[1] and same(mine.text, wanted.text)


_OURS = "__qanat"
_FEW = 12
"""Columns, and forms of a function, that a message can list."""
_READERS = ("read_files", "read_table", "delta_scan", "range", "generate_series", "unnest")


@dataclass(frozen=True)
class Complaint:
    """An error of DuckDB, and what it is about.

    Args:
        columns: names that would have been right.
        rule: the expectation that the query is the text of, if it is one.
        views: the queries of views that the query reads.
    """

    error: duckdb.Error
    text: str
    query: Computation
    columns: Iterable[str]
    rule: Expectation | None
    views: tuple[Computation, ...] = ()

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The names that DuckDB proposes, then those of all inputs."""
        listed = re.search(r"Candidate (?:bindings|Entries|columns): *(.+)", self.text)
        proposed = re.findall(r'"([^"]+)"', listed[1]) if listed else []
        names = [p.rpartition(".")[2] for p in proposed]
        return tuple(dict.fromkeys(n for n in (*names, *self.columns) if not n.startswith(_OURS)))

    @property
    def who(self) -> str:
        """How a message about a rule begins; empty for a query."""
        return f"expectation {self.rule.name}: " if self.rule else ""

    def place(self, *snippets: str, last: bool = False) -> Location:
        """Where the first of the snippets stands that is there at all, unqualified if it can be.

        Args:
            last: where the last word of the snippet stands.
        """
        if self.rule is not None:
            return self.rule.location
        texts = (self.query, *self.views)
        tries = ((q, s, b) for q in texts for s in snippets if s for b in (True, False))
        places = (locate(query, s, bare=bare, last=last) for query, s, bare in tries)
        return next((p for p in places if p is not None), self.query.location)

    def cleaned(self, text: str) -> str:
        """A text with the author's names of inputs instead of those of their relations."""
        for read in self.query.reads:
            # A parameter may be called `t`, which is no name in the middle of a word.
            name = rf"(?<!\w){re.escape(read.name)}(?!\w)"
            text = re.sub(name, read.source.label.replace("\\", r"\\"), text)
        return text


def refusal(complaint: Complaint) -> QanatError:
    """The author's mistake, or the value in the data, that a complaint is about."""
    for pattern, explain in _KINDS:
        found = pattern.search(complaint.text)
        if found and not isinstance(complaint.error, QUOTING):
            return explain(complaint, found)
    return _data(complaint) if isinstance(complaint.error, BY_DATA) else _other(complaint)


def subject(error: QanatError) -> str:
    """The name that an error says is not known, as its message has it; empty if it is another."""
    found = re.search(r"no (?:column|field|function|type) '(.+?)'", error.message)
    return found[1] if found else ""


def _column(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name, table = found["name"], found.groupdict().get("table") or ""
    inside = f" in {complaint.cleaned(table)}" if table else ""
    known = complaint.known
    if name in Names(known):
        # An input has it, but this part of the query does not see it.
        listed = Complaint(complaint.error, complaint.text, complaint.query, (), complaint.rule)
        known = listed.known
    return ColumnNotFoundError(
        f"{complaint.who}no column {name!r}{inside}",
        location=complaint.place(f"{table}.{name}" if table else "", name, last=True),
        wanted=", ".join(known[:_FEW]) + (", …" if len(known) > _FEW else "") or None,
        nearest=nearest(name, known),
    )


def _field(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name = found["name"]
    return ColumnNotFoundError(
        f"{complaint.who}no field {name!r} in the struct",
        location=complaint.place(f".{name}", f"'{name}'", name, last=True),
        wanted=", ".join(re.findall(r'"([^"]+)"', complaint.text.partition("Candidate")[2])),
        nearest=nearest(name, complaint.known),
    )


def _table(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name = found["name"]
    known = re.findall(r'"([^"]+)"', complaint.text.partition("Candidate tables:")[2])
    known = [complaint.cleaned(k.rpartition(".")[2]) for k in known]
    return QueryError(
        f"{complaint.who}nothing in FROM is called {name!r}",
        location=complaint.place(f"{name}.", name),
        wanted=" or ".join(known) or None,
        nearest=nearest(name, known),
    )


def _dataset(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name = found["name"]
    return DatasetNotFoundError(
        f"{complaint.who}no dataset {name!r}", location=complaint.place(name)
    )


def _ambiguous(complaint: Complaint, found: re.Match[str]) -> QanatError:
    choices = [complaint.cleaned(c) for c in re.findall(r"'([^']+)'", found["choices"])]
    return QueryError(
        f"{complaint.who}column {found['name']!r} is in several inputs",
        location=complaint.place(found["name"]),
        wanted=" or ".join(choices),
    )


def _ungrouped(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name = found["name"]
    return QueryError(
        f"{complaint.who}column {name!r} is neither in GROUP BY nor inside an aggregate",
        location=complaint.place(name),
        hint=f"add it to GROUP BY, or use any_value({name}) if any row's will do",
    )


def _function(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name = found["name"]
    suggested = re.search(r'Did you mean "([^"]+)"', complaint.text)
    proposal = suggested[1] if suggested else None
    if found["kind"].lower().startswith("table"):
        proposal = nearest(name, _READERS) or proposal
    return FunctionNotFoundError(
        f"{complaint.who}no function {name!r}",
        location=complaint.place(f"{name}(", name),
        nearest=proposal,
    )


def _arguments(complaint: Complaint, found: re.Match[str]) -> QanatError:
    name, types = found["name"], plain(found["types"])
    operator = not name.isidentifier()
    forms = re.findall(r"^\t(.+->.+)$", complaint.text, re.MULTILINE)[:_FEW]
    forms = [f.replace('"', "").replace(", /)", ")") for f in forms]
    return QueryError(
        f"{complaint.who}{name} does not take ({types})",
        location=complaint.place(f"{name}(", name),
        wanted=None if operator else "\n".join(forms) or None,
        hint="convert what does not fit: CAST(… AS type)",
    )


def _type(complaint: Complaint, found: re.Match[str]) -> QanatError:
    suggested = re.search(r'Did you mean "([^"]+)"', complaint.text)
    return TypeNameError(
        f"{complaint.who}no type {found['name']!r}",
        location=complaint.place(found["name"]),
        nearest=suggested[1].rpartition(".")[2] if suggested else None,
    )


_IN_RULE = "use TRY_CAST or TRY(…) in the rule: then such a value breaks it"


def _data(complaint: Complaint) -> QanatError:
    """The query is fine, but not for every value that came."""
    marked = re.search(r"(?P<line>LINE \d+: .*)\n(?P<before> *)(?P<marks>\^+)", complaint.text)
    snippet = ""
    if marked:
        begin = len(marked["before"])
        snippet = marked["line"][begin : begin + len(marked["marks"])]
    if not re.search(r"[(:'0-9]", snippet):
        # A single word would be found in the wrong place.
        snippet = ""
    source = re.search(r"casting from source column (\S+)", complaint.text)
    if isinstance(complaint.error, duckdb.InvalidInputException):
        message = _RAISED.sub("", plain(complaint.text)).partition(". Use TRY")[0]
        expression = re.search(r"in expression \((.+?)\)\.", complaint.text)
        called = re.match(r"(\w+)\(\) raised ", message)
        hint = "TRY(…) around it gives NULL instead" if expression else None
        return QueryError(
            complaint.who + complaint.cleaned(message),
            location=complaint.place(
                expression[1] if expression else "",
                *([f"{called[1]}("] if called else []),
                *(f"'{text}'" for text in (*re.findall(r'"([^"]+)"', complaint.text), message)),
            ),
            hint=_IN_RULE if complaint.rule and (expression or called) else hint,
        )
    return ConversionError(
        f"{complaint.who}a value does not fit: {complaint.cleaned(plain(complaint.text))}",
        location=complaint.place(snippet, source[1] if source else ""),
        hint=_IN_RULE
        if complaint.rule
        else "use TRY_CAST or TRY(…), and an expectation (… IS NOT NULL) ON VIOLATION QUARANTINE"
        " ROW, so that one bad value does not stop the rest",
    )


def _other(complaint: Complaint) -> QanatError:
    message = plain(complaint.text)
    cast = " - an explicit cast is required"
    quoted = re.findall(r'"([^"]+)"|\'([^\']+)\'|([A-Z]+) (?:clause|operator)', message)
    return QueryError(
        f"{complaint.who}{complaint.cleaned(message.removesuffix(cast))}",
        location=complaint.place(*("".join(groups) for groups in quoted)),
        hint="write the conversion: CAST(… AS type)" if message.endswith(cast) else None,
    )


_RAISED = re.compile(r"python exception occurred while executing the UDF: Raised: ", re.IGNORECASE)
"""What DuckDB says before the text of `udf.Raised`."""
_Explain = Callable[[Complaint, "re.Match[str]"], QanatError]

_KINDS: tuple[tuple[re.Pattern[str], _Explain], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), explain)
    for pattern, explain in (
        (r'"(?P<table>[^"]+)" does not have a column named "(?P<name>[^"]+)"', _column),
        (r'(?:Referenced column|Column with name|Column) "(?P<name>[^"]+)" (?:not|in)', _column),
        (r'Could not find key "(?P<name>[^"]+)" in struct', _field),
        (r'Referenced table "(?P<name>[^"]+)" not found', _table),
        (r"Table with name (?P<name>\S+) does not exist", _dataset),
        (
            r'Ambiguous reference to column name "(?P<name>.+?)" \(use: (?P<choices>.*)\)',
            _ambiguous,
        ),
        (r'column "(?P<name>[^"]+)" must appear in the GROUP BY', _ungrouped),
        (
            r'(?P<kind>\w*(?: Macro)?) *Function with name "?(?P<name>[\w.]+)"? does not exist',
            _function,
        ),
        (
            r"No function matches the given name and .* '(?P<name>.+?)\((?P<types>.*)\)'\.",
            _arguments,
        ),
        (r"Type with name (?P<name>\S+) does not exist", _type),
    )
)
"""In this order: the first that fits explains."""
