"""Write the reference from the code: `make docs`.

    python docs/generate.py            into docs/reference
    python docs/generate.py FOLDER     into another folder, to compare

What a page says of the code it asks the code; what only a person knows (the grammar of
statements, what a setting is good for) stands here or beside the code as a description.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from qanat import errors, pipelines, plugins, project, text
from qanat.cli.program import LATER, program
from qanat.crash import document as crash
from qanat.declare import (
    auto_cdc,
    calls,
    checks,
    columns,
    properties,
    schedules,
    settings,
    types as column_types,
)
from qanat.errors import QanatError
from qanat.model import observer, pipeline
from qanat.model.adapter import Connector, Option, OptionTable, TableFunction
from qanat.model.anomaly import ANOMALIES, OnAnomaly
from qanat.model.event import kept_kinds
from qanat.model.expectation import Action
from qanat.model.keyed import STRATEGY, Strategy
from qanat.model.lateness import IDLE_TIMEOUT, LATE_ROWS, LateRows
from qanat.model.limit import LIMIT, QUARANTINE_LIMIT, QUARANTINE_WINDOW, parse_limit
from qanat.model.owner import OWNER
from qanat.model.pipeline import ON_ROW_ERROR, RESET_ALLOWED, TRIGGER_INTERVAL, Drift, OnRowError
from qanat.model.profile import PROFILED
from qanat.model.quarantine import FAILED, MALFORMED, QUARANTINE_FIELDS, RESCUED
from qanat.model.rule import References, Unique
from qanat.model.schema import Field
from qanat.model.stateful import OUTPUT_MODE, OutputMode
from qanat.model.upkeep import READ
from qanat.report import documents, events
from qanat.report.schema import schema_of
from qanat.report.shape import Shape, type_of
from qanat.report.version import VERSION

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py; change the code, then: make docs -->"

Lines = Iterator[str]


def main() -> None:
    """Write every page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        text = "\n".join([NOTE, "", *page()]).rstrip() + "\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    schemas = folder / "schemas" / f"v{VERSION}"
    schemas.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        text = json.dumps(schema, indent=2) + "\n"
        (schemas / f"{name}.json").write_text(text, encoding="utf-8")


# -- pieces of Markdown --------------------------------------------------------------------


def table(headers: list[str], rows: list[list[str]]) -> Lines:
    """A table; bars in cells are escaped."""
    yield f"| {' | '.join(headers)} |"
    yield f"|{'---|' * len(headers)}"
    for row in rows:
        cells = [cell.replace("|", "\\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
    yield ""


def code(text: str) -> str:
    """Text as code, if there is any."""
    quote = "``" if "`" in text else "`"
    return f"{quote}{text}{quote}" if text else ""


def document(value: Any) -> str:
    """The docstring of something, without its indentation."""
    return inspect.getdoc(value) or ""


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())


# -- the command line ----------------------------------------------------------------------


def command_line() -> Lines:
    """Every command, its arguments and options."""
    yield "# The command line"
    yield ""
    yield "Exit codes: 0 fine; 1 data or a run failed; 2 a file of the project, or the command"
    yield "line, has to be changed; 130 interrupted. Results go to standard output, progress and"
    yield "errors to standard error. `NO_COLOR` is honoured."
    yield ""
    context = click.Context(program, info_name="qanat")
    yield "Bash, zsh and fish complete commands, options and names of datasets. In `~/.bashrc`:"
    yield '`eval "$(_QANAT_COMPLETE=bash_source qanat)"`; in `~/.zshrc`:'
    yield '`eval "$(_QANAT_COMPLETE=zsh_source qanat)"`; in'
    yield "`~/.config/fish/completions/qanat.fish`: `_QANAT_COMPLETE=fish_source qanat | source`."
    yield ""
    for name in program.list_commands(context):
        yield from _command(program, context, name, 2)
    yield "## In later releases"
    yield ""
    yield from table(
        ["Command", "Until then"], [[code(f"qanat {n}"), hint] for n, hint in LATER.items()]
    )


def _command(group: click.Group, above: click.Context, name: str, level: int) -> Lines:
    command = group.get_command(above, name) or click.Command(name)
    context = click.Context(command, info_name=name, parent=above)
    path = context.command_path
    yield f"{'#' * level} `{path}`"
    yield ""
    yield from _paragraphs(command.help or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(command, context, name, level + 1)
        return
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield ""
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            rows.append([code(record[0]), one_line(record[1])])
    yield from table(["Option", "Meaning"], rows)


def _paragraphs(text: str) -> Lines:
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        yield one_line(paragraph)
        yield ""


# -- the spec ------------------------------------------------------------------------------


def spec() -> Lines:
    """Every key of the spec."""
    yield "# The spec"
    yield ""
    yield "`qanat.yml`, or SDP's `spark-pipeline.yml`: the nearest one in the current folder or"
    yield "above. Unknown keys are errors."
    yield ""
    rows = []
    defaults = settings.Settings("")
    for option in settings.SETTINGS.options:
        default = getattr(defaults, option.name)
        shown = "" if default in (None, {}) else default
        if isinstance(shown, tuple):
            shown = ", ".join(shown)
        shown = "required" if option.required else code(str(shown))
        rows.append([code(option.name), shown, option.meaning])
    rows.append([code("environments"), "", "name → any of these keys but `name`, and `from`"])
    yield from table(["Key", "Default", "Meaning"], rows)
    yield one_line(document(text.parse_size).split("\n\n")[1])
    yield ""
    yield "## Schedules"
    yield ""
    yield "`schedules` has a mapping for each schedule, with one of `cron`, `every` and `after`."
    yield "[Update by schedules](../how-to/schedule.md) shows them at work."
    yield ""
    rows = [
        [code(key), wanted, meaning]
        for key, ((_, wanted), meaning) in schedules.SCHEDULE_KEYS.items()
    ]
    yield from table(["Key", "Value", "Meaning"], rows)
    yield ""
    yield "## Environments"
    yield ""
    yield "`qanat COMMAND --env NAME` applies the keys below `environments: NAME`. The base"
    yield "settings are the environment `dev`. An environment that names no `storage` has a folder"
    yield "of its own name below that of the base settings, so that two never share tables."
    yield ""
    yield "`from: NAME` makes an environment read the tables of another where it has none of its"
    yield "own ([Environments](../how-to/environments.md)); it never writes there."
    yield ""
    yield "## From the environment"
    yield ""
    yield "`${VAR}` in a value is an environment variable, `${VAR:-text}` one with a default."
    yield "A variable `QANAT__KEY` overrides a key, and `QANAT__CONFIGURATION__NAME` a value of"
    yield "`configuration`. From weak to strong: defaults, the spec, its environment, variables."
    yield ""
    yield from _adapters()


def _adapters() -> Lines:
    """What the keys `engine`, `table_format` and `ledger` may be, with their options."""
    yield "## Engines"
    yield ""
    engines = [plugins.engine(name) for name in plugins.BUILTIN["engines"]]
    rows = [[code(e.name), ", ".join(code(d) for d in e.dialects)] for e in engines]
    yield from table(["`engine`", "`dialect`, the first if it is left out"], rows)
    yield "## Table formats"
    yield ""
    for name in plugins.BUILTIN["formats"]:
        options = plugins.table_format(name).options
        yield f"### `table_format: {name}`"
        yield ""
        if options.options:
            yield "`storage_options` may have:"
            yield ""
            yield from _option_table(options)
        else:
            yield "It has no `storage_options`."
            yield ""
    yield "## Ledgers"
    yield ""
    ledgers = [plugins.imported(target) for target in plugins.BUILTIN["ledgers"].values()]
    rows = [
        [code(kind.name), " or ".join(code(f"{s}://…") for s in kind.schemes) or "left out"]
        for kind in ledgers
    ]
    yield from table(["Database", "`ledger`"], rows)
    yield from _observers()
    yield "Other packages may add engines, table formats, ledgers and kinds of observers."


def _observers() -> Lines:
    """What may stand below `observers`."""
    yield "## Observers"
    yield ""
    yield "`observers: {NAME: {kind: …}}` says who else is told of what updates do"
    yield "([Events](../how-to/events.md)). An environment adds observers, gives one of the same"
    yield "name other options, or leaves it out (`NAME: off`). All of them may have:"
    yield ""
    yield from _option_table(observer.COMMON)
    kinds = ", ".join(code(k) for k in kept_kinds())
    yield f"Kinds of events: {kinds}. `wait` is {observer.WAIT} if it is left out, `keep`"
    yield f"{observer.KEEP}."
    yield ""
    for name in plugins.BUILTIN["observers"]:
        yield f"### `kind: {name}`"
        yield ""
        yield from _option_table(plugins.observer_kind(name).options)


# -- SQL -----------------------------------------------------------------------------------

GRAMMAR = """\
CREATE [OR REFRESH | OR REPLACE] STREAMING TABLE [IF NOT EXISTS] name
  [(column type [NOT NULL] [COMMENT 'text'] | constraint, …)]
  [clause …]
  [AS query | FLOW AUTO CDC [ONCE] changes]

CREATE [OR REFRESH | OR REPLACE] MATERIALIZED VIEW [IF NOT EXISTS] name
  [(…)] [clause …] AS query

CREATE TEMPORARY VIEW name [(constraint, …)] [COMMENT 'text'] AS query

CREATE FLOW name [COMMENT 'text'] AS INSERT INTO [ONCE] table BY NAME query

CREATE FLOW name [COMMENT 'text'] AS AUTO CDC [ONCE] INTO table changes

CREATE FLOW name [COMMENT 'text'] AS MERGE INTO [ONCE] table [[AS] alias] merge

APPLY CHANGES INTO table changes

SET key = value

constraint:
  CONSTRAINT name EXPECT rule
    [WHERE (condition)] [NULLS PASS] [TOLERATE {n % | n ROWS}]
    [WITH (severity = 'low | medium | high | critical', dimension = '…', owner = '…',
           comment = '…', tags = 'a, b')]
    [ON VIOLATION action]

rule, about rows:
  (condition)
  UNIQUE (column, …)
  (column, …) REFERENCES dataset (column, …)
  [STRICTLY] {INCREASING | DECREASING} (column)

rule, about the table (action: FAIL UPDATE, or none):
  {TABLE | EPOCH} (condition on aggregates)
  FRESH (column) WITHIN INTERVAL n unit
  DISTRIBUTION (column) LIKE dataset (column) WITHIN distance
  SAME ROWS AS dataset KEYS (column, …) [COLUMNS (column, …)]
  COLUMNS (column [type], …) [IN ORDER] [ONLY]

action:
  DROP ROW | QUARANTINE ROW | FAIL UPDATE

clause:
  USING format | KEYS (column, …) | PARTITIONED BY (column, …) | CLUSTER BY (column, …)
  COMMENT 'text' | TBLPROPERTIES ('key' = 'value', …)

changes:
  snapshot | events

snapshot:
  FROM SNAPSHOT {table | read_files(…) | (query)}
  KEYS (column, …)
  [COLUMNS chosen]
  [STORED AS SCD TYPE {1 | 2}]
  [TRACK HISTORY ON chosen]

events:
  FROM {STREAM table | STREAM read_files(…) | (query)}
  KEYS (column, …)
  [IGNORE NULL UPDATES [ON chosen]]
  [APPLY AS DELETE WHEN condition]
  [APPLY AS TRUNCATE WHEN condition]
  SEQUENCE BY {value | (value, …) | STRUCT(value, …)}
  [COLUMNS chosen]
  [STORED AS SCD TYPE {1 | 2}]
  [TRACK HISTORY ON chosen]

chosen:
  (column, …) | * EXCEPT (column, …)

merge:
  USING {STREAM table | STREAM read_files(…) | (query)} [[AS] alias]
  ON condition
  [WHEN MATCHED [AND condition]
     THEN {UPDATE SET {* | column = value, …} | DELETE | DO NOTHING}] …
  [WHEN NOT MATCHED [BY TARGET] [AND condition]
     THEN {INSERT {* | (column, …) VALUES (value, …)} | DO NOTHING}] …"""


def sql() -> Lines:
    """Statements, expectations, functions, types."""
    yield "# SQL"
    yield ""
    yield "A `.sql` file holds statements, ended by `;`. Queries are written in the project's"
    yield "`dialect`."
    yield ""
    yield f"```text\n{GRAMMAR}\n```"
    yield ""
    yield "`STREAM input` (or `STREAM(input)`) reads each row once; an input without it is read"
    yield "as it is now. `STREAM input WITH (option)` gives a stream of a table"
    yield "[options](connectors.md#dataset). `${key}` is a value of the spec's `configuration`,"
    yield "or of a `SET` above it"
    yield "in the same file. A column that is `NOT NULL` is an expectation that fails the update."
    yield "`STREAM input WATERMARK column DELAY OF INTERVAL n unit [[AS] alias]` says how much"
    yield "later than others rows may come: see [event time](../how-to/event-time.md), which also"
    yield "has `window()`, `session_window()`, and what queries over streams aggregate and join."
    yield "The clauses of AUTO CDC may be in any order; [the how-to](../how-to/cdc.md) tells more."
    yield "`APPLY CHANGES` may stand for `AUTO CDC` everywhere. `KEYS` and `MERGE INTO` have"
    yield "[a how-to of their own](../how-to/incremental.md)."
    yield ""
    yield "## Expectations"
    yield ""
    actions = [[code(a.value), _action_sql(a), _meaning(Action, a.name)] for a in Action]
    yield from table(["Action", "`ON VIOLATION`", "What it does"], actions)
    yield "A condition that is FALSE **or NULL** is a violation. A row that violates several rules"
    yield "counts for each; it goes to quarantine if one of them says so, else it is dropped if"
    yield "one of them says so."
    yield ""
    for rule, form in ((Unique, "UNIQUE (…)"), (References, "(…) REFERENCES …")):
        yield f"`{form}`: {one_line(document(rule))}"
        yield ""
    yield "## What a query may read"
    yield ""
    rows = [[code("name"), "the dataset of this project"]]
    for connector in plugins.connectors().all:
        for name, reader in connector.functions.items():
            fixed = ", ".join(_fixed(k, v) for k, v in reader.options.items())
            what = f"{connector.noun} ({fixed})" if fixed else connector.noun
            rows.append([code(_called(name, reader)), what])
        for format_ in connector.formats:
            rows.append([code(f"{format_}.`path` "), f"{connector.noun}, in Spark's way"])
    rows += [
        [code("read_table('name', project => 'folder')"), "a table of another Qanat project"],
        [code("VALUES (1, 'a'), (2, 'b')"), "rows given inline"],
    ]
    yield from table(["Input", "What it is"], rows)
    yield "Refused, because what they read could not be tracked: "
    yield ", ".join(code(f"{name}()") for name in calls.REFUSED) + "."
    yield ""
    missing = [n for n in calls.NOT_BUILT if plugins.connectors().reading(n) is None]
    yield "Not built yet: "
    yield ", ".join(code(f"{name}()") for name in missing) + "."
    yield "A connector of another package may have these names."
    yield ""
    yield "## Types of columns"
    yield ""
    yield ", ".join(code(name) for name in column_types.TYPE_NAMES)
    yield ""
    yield document(column_types.parse_type).split("\n\n")[1]
    yield ""
    yield "## Not supported"
    yield ""
    refused = [
        *properties.REFUSED.items(),
        *columns.REFUSED.items(),
        *auto_cdc.REFUSED.items(),
    ]
    rows = [[code(name), hint] for name, hint in refused]
    yield from table(["Clause or constraint", "Instead"], rows)


def _called(name: str, reader: TableFunction) -> str:
    """How a table function is called."""
    more = "".join(f"[, {option}" for option in reader.more) + "]" * len(reader.more)
    first = f"{reader.places[0]} => '…'" if reader.places else f"'{reader.argument}'"
    return f"{name}({first}{more or ', …'})"


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _fixed(option: str, value: object) -> str:
    return option if value is True else str(value)


def _action_sql(action: Action) -> str:
    words = {value: words for words, value in checks.ACTIONS.items()}
    return code(words[action]) if action in words else "(none)"


def _meaning(kind: type, member: str) -> str:
    """The docstring below a member of an enumeration."""
    found = re.search(rf'\b{member} = "[^"]*"\n\s+"""(.*?)"""', inspect.getsource(kind), re.S)
    if found is None:
        raise LookupError(f"{kind.__name__}.{member} has no docstring")
    return one_line(found[1])


# -- connectors ----------------------------------------------------------------------------


def connectors() -> Lines:
    """What each connector reads and writes, with its options."""
    yield "# Connectors"
    yield ""
    yield "The table functions that a query can read from, the formats that a sink can have, and"
    yield "their options. Case and underscores in the name of an option do not count:"
    yield "`maxFilesPerTrigger` is `max_files_per_trigger`."
    yield ""
    for connector in plugins.connectors().all:
        if connector.functions or connector.sinks:
            yield from _connector(connector)


def _connector(connector: Connector) -> Lines:
    yield f"## {connector.name}"
    yield ""
    for name, reader in connector.functions.items():
        fixed = "".join(f", {k} => {_literal(v)}" for k, v in reader.options.items())
        same = f", which is `{next(iter(connector.functions))}(…{fixed})`" if fixed else ""
        yield f"- `{_called(name, reader)}`{same}"
    if connector.functions:
        yield ""
    yield from _option_table(connector.options)
    if connector.hidden:
        names = ", ".join(code(h) for h in connector.hidden)
        yield f"Every row has a hidden column {names}, which `SELECT *` leaves out."
        yield ""
    for format_, options in connector.sinks.items():
        yield f"### Sinks of the format `{format_}`"
        yield ""
        yield from _option_table(options)


def _option_table(options: OptionTable) -> Lines:
    rows = [
        [code(o.name), _value(o), o.meaning, ", ".join(code(s) for s in o.spellings)]
        for o in options.options
    ]
    if rows:
        yield from table(["Option", "Value", "Meaning", "Also"], rows)
    if options.refused:
        yield "Not supported:"
        yield ""
        refused = [[code(name), hint] for name, hint in options.refused.items()]
        yield from table(["Option", "Instead"], refused)


def _value(option: Option) -> str:
    if option.choices:
        return ", ".join(code(c) for c in dict.fromkeys(option.choices.values()))
    needed = ", must be given" if option.required else ""
    return f"{option.wanted}{needed}"


# -- Python --------------------------------------------------------------------------------


def python() -> Lines:
    """The public functions."""
    yield "# Python"
    yield ""
    module = importlib.import_module("qanat.declare.python")
    yield from _docstring(document(module).split("\n\n", 1)[1])
    for name in pipelines.__all__:
        function = getattr(pipelines, name)
        yield f"## `{name}`"
        yield ""
        if function.__name__ != name:
            yield f"The older name of [`{function.__name__}`](#{function.__name__})."
            yield ""
            continue
        yield f"```python\n{_signature(name, function)}\n```"
        yield ""
        yield from _docstring(document(function))


API = (project.Project, project.Table, project.Query, project.Quarantine, project.TableVersion)


def python_api() -> Lines:
    """The project object."""
    yield "# The Python API"
    yield ""
    yield "`import qanat` gives `qanat.open`; the [how-to](../how-to/python-api.md) shows it at"
    yield "work. Errors are those of [this list](errors.md). Results print as text, and show"
    yield "themselves as HTML in a notebook."
    yield ""
    yield 'In the examples, `project` is `qanat.open("shop")`: what `qanat init shop` wrote, after'
    yield "one `qanat run`."
    yield ""
    yield "## `qanat.open`"
    yield ""
    yield f"```python\n{_signature('qanat.open', project.open_project)}\n```"
    yield ""
    yield from _docstring(document(project.open_project))
    for kind in API:
        yield f"## `{kind.__name__}`"
        yield ""
        yield from _docstring(document(kind))
        for name, member in _members(kind):
            yield f"### `{kind.__name__}.{name}`"
            yield ""
            if callable(member):
                yield f"```python\n{_signature(name, member)}\n```"
                yield ""
            yield from _docstring(document(member))
    yield "## Results"
    yield ""
    results = [getattr(project, name) for name in project.__all__]
    rows = [
        [code(kind.__name__), one_line(document(kind))]
        for kind in results
        if inspect.isclass(kind) and hasattr(kind, "_repr_html_") and kind not in API
    ]
    yield from table(["Result", "What it is"], rows)


def _members(kind: type) -> list[tuple[str, Any]]:
    """Its public methods and properties, its own and those of what it extends."""
    found = inspect.getmembers(kind, lambda m: inspect.isfunction(m) or isinstance(m, property))
    return [(n, m) for n, m in found if not n.startswith("_") and document(m)]


def _signature(name: str, function: Callable[..., Any]) -> str:
    parts = []
    star = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("query_function", "self"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            parts.append("*")
        parts.append(str(parameter).replace("'", ""))
    if sum(map(len, parts)) < 70:
        return f"{name}({', '.join(parts)})"
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def _docstring(text: str) -> Lines:
    """A docstring as Markdown: arguments become a list, indented code becomes a block."""
    for indented, run in groupby(text.split("\n\n"), lambda b: b.startswith("    ")):
        # Code may have empty lines of its own.
        if indented:
            yield from _block("\n\n".join(run))
        else:
            for block in run:
                yield from _block(block)


def _block(block: str) -> Lines:
    if block.startswith(("Args:", "Raises:")):
        head, *rest = block.splitlines()
        yield "**Arguments**" if head == "Args:" else "**Errors**"
        yield ""
        for item in re.split(r"\n(?=\S)", inspect.cleandoc("\n".join(rest))):
            name, _, meaning = one_line(item).partition(": ")
            yield f"- `{name}`: {meaning}"
    elif block.startswith(">>> "):
        yield f"```python\n{block}\n```"
    elif block.startswith("    "):
        yield f"```python\n{inspect.cleandoc(block)}\n```"
    else:
        yield block
    yield ""


# -- errors --------------------------------------------------------------------------------


def error_codes() -> Lines:
    """Every error, by code."""
    yield "# Errors"
    yield ""
    yield "An error says what happened, where, what was wanted, what was found, the nearest right"
    yield "name and the way out, as far as they are known. Its code is stable. With"
    yield "`--output json` the same facts are a [document](json.md)."
    yield ""
    everything = _subclasses(QanatError)
    families = [e for e in everything if e.__base__ is QanatError]
    for family in sorted(families, key=lambda e: e.code):
        yield f"## {family.code[:2]}: {family.__name__}"
        yield ""
        yield one_line(document(importlib.import_module(family.__module__)))
        yield ""
        members = sorted((e for e in everything if issubclass(e, family)), key=lambda e: e.code)
        yield from table(
            ["Code", "Error", "Exit code", "Retried", "Meaning"],
            [
                [
                    code(e.code),
                    code(e.__name__),
                    str(e.exit_code),
                    "yes" if e.retryable else "",
                    one_line(document(e).split("\n\n")[0]),
                ]
                for e in members
            ],
        )


def _subclasses(kind: type[QanatError]) -> list[type[QanatError]]:
    found: list[type[QanatError]] = []
    for name in errors.__all__:
        value = getattr(errors, name)
        if inspect.isclass(value) and issubclass(value, kind) and value is not kind:
            found.append(value)
    return found


# -- JSON ----------------------------------------------------------------------------------


def json_documents() -> Lines:
    """The documents of `--output json`."""
    yield "# JSON documents"
    yield ""
    yield document(documents).split("\n\n", 1)[0]
    yield ""
    yield document(documents).split("\n\n", 1)[1]
    yield ""
    yield "Each has a JSON schema, also as `qanat.report.schema(name)`:"
    yield ""
    folder = f"schemas/v{VERSION}"
    rows = [
        [f"[{code(name)}]({folder}/{name}.json)", _link(shape)]
        for name, shape in {**documents.DOCUMENTS, **_BESIDE}.items()
    ]
    yield from table(["Schema", "Document"], rows)
    for shape in _shapes():
        yield f"## {shape.name}"
        yield ""
        yield shape.text
        yield ""
        rows = [[code(k.name), _type(type_of(shape, k))] for k in shape.columns]
        yield from table(["Key", "Value"], rows)


_BESIDE = {"crash": crash.CRASH, "event": events.TOLD}
"""Documents that no command prints with `--output json`, by the names of their schemas."""


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of every document, by its name."""
    found = {name: documents.schema(name) for name in documents.DOCUMENTS}
    more = {"crash": schema_of(crash.CRASH, crash.SHAPES, documents.FACTS)}
    return {**found, **more, "event": events.told_schema()}


def _shapes() -> list[Shape]:
    """Every shape once: each document, and behind it what only it has."""
    found = [documents.FACTS]
    waiting = [*documents.DOCUMENTS.values(), *_BESIDE.values()]
    while waiting:
        shape = waiting.pop(0)
        if shape in found:
            continue
        found.append(shape)
        waiting[:0] = [s for k in shape.columns for s in _inside(type_of(shape, k))]
    return found


def _inside(hint: Any) -> list[Shape]:
    shape = _shape(hint)
    if shape is not None:
        return [shape]
    return [s for a in typing.get_args(hint) for s in _inside(a)]


def _shape(hint: Any) -> Shape | None:
    if inspect.isclass(hint) and issubclass(hint, QanatError):
        return documents.FACTS
    return documents.SHAPES.get(hint) or crash.SHAPES.get(hint)


def _link(shape: Shape) -> str:
    return f"[{shape.name}](#{shape.name.lower()})"


def _type(hint: Any) -> str:
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if isinstance(hint, types.UnionType):
        return " or ".join(_type(a) for a in arguments)
    if origin is typing.Literal:
        return " or ".join(code(str(a)) for a in arguments)
    if origin in (list, tuple, Sequence):
        return f"list of {_type(arguments[0])}"
    if origin in (dict, Mapping):
        return "object" if arguments[1] is Any else f"object of {_type(arguments[1])}"
    shape = _shape(hint)
    if shape is not None:
        return _link(shape)
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return " or ".join(code(member.value) for member in hint)
    names = {str: "text", int: "number", float: "number", bool: "boolean", type(None): "null"}
    return names.get(hint, "anything")


# -- tables --------------------------------------------------------------------------------

LAYOUT = """\
storage/
  tables/<dataset>/               a table in the project's format; any reader of it may look
  tables/<dataset>__quarantine/   a table, too: the rows that were kept out
  _qanat/                         Qanat's own: ledger.db, scratch space, commits in the making"""


def tables() -> Lines:
    """What is on disk."""
    yield "# Tables"
    yield ""
    yield f"```text\n{LAYOUT}\n```"
    yield ""
    yield "Keep `tables` and `_qanat` on one file system. A commit to a Delta table is a link from"
    yield "`_qanat` to the table, which fails once another update has taken over. Between two file"
    yield "systems no such link can be made: there, an update that was stopped just before it"
    yield "commits, for longer than its lease, may commit after all"
    yield "([why](../architecture.md#the-write-path))."
    yield ""
    yield "A Delta table may have two folders more, which its readers do not look into:"
    yield ""
    yield "```text"
    yield "_events/         changes that its rows do not tell, which later ones are compared with"
    yield "_change_data/    what became of each row that changed, for readers of a feed of changes"
    yield "```"
    yield ""
    yield "Both belong to versions of the table: one that moves, is restored or read at an older"
    yield "version has them as they were. Do not delete any of their files by hand."
    yield ""
    yield "## Quarantine"
    yield ""
    yield "The columns of the dataset, and:"
    yield ""
    yield from table(
        ["Column", "Type", "Meaning"],
        [[code(f.name), code(str(f.type)), _comment(f)] for f in QUARANTINE_FIELDS],
    )
    yield f"A row that could not even be parsed has broken the rule `{MALFORMED}`, and one that"
    yield f"the query could not compute `{FAILED}`: the columns of the dataset are NULL, and"
    yield "`_quarantine_raw` has the text, or the row of the query's input as JSON, all values as"
    yield "text."
    yield ""
    yield "Where a row was read from a table, `_quarantine_source` is a row of one of its files."
    yield "What shows rows adds a column `_quarantine_origin`, which goes on from there to"
    yield "[the file that it came from](../how-to/quality.md#where-a-row-comes-from): `file` and"
    yield "`row`, the tables that it came `through`, of how many rows that are `alike` it may be"
    yield "any, and in `note` why no more is known."
    yield ""
    yield "## Table properties"
    yield ""
    yield "Those that begin with `qanat.`, and the ones below, are checked; others are kept"
    yield f"with the table. Qanat itself keeps `{OWNER}`: the project and environment that a table"
    yield (
        "belongs to. [No other changes it]"
        "(../how-to/environments.md#a-storage-that-is-shared-by-mistake)."
    )
    yield ""
    yield "`delta.enableChangeDataFeed`: `true` lets readers of a Delta table ask which rows each"
    yield "version inserted, updated and deleted: `table_changes` in Spark,"
    yield "`DeltaTable(…).load_cdf()` in deltalake. An update is told as such where a flow changes"
    yield "rows; rows that are replaced, or taken back, are told as deleted and inserted ones. The"
    yield "table's protocol then requires `changeDataFeed` of writers, and nothing of readers."
    yield "deltalake 1.6.6 cannot read the feed of partitions whose values have characters that a"
    yield "path escapes (a space, a slash), whoever wrote them. Default: `false`."
    yield ""
    yield f"`{RESET_ALLOWED}`: {one_line(document(pipeline.Dataset.may_reset))} Default: `true`."
    yield ""
    yield f"`{PROFILED}`: `true` has each update profile the table that it has changed, and keep"
    yield "[the profile](../how-to/profile.md#after-each-update). Default: that of the spec's"
    yield "`configuration`, else `false`."
    yield ""
    yield f"`{TRIGGER_INTERVAL}`: how much time (`10 seconds`) lies between the beginnings of two"
    yield "epochs of a [continuous update](../how-to/continuous.md). Default: that of the spec's"
    yield "`configuration`, else an epoch begins as soon as there is something to take."
    yield ""
    yield (
        f"`{QUARANTINE_LIMIT}`: {document(parse_limit).splitlines()[0].rstrip('.')}: {LIMIT}."
        " With more, the dataset fails and publishes nothing. Default: that of the spec's"
        " `configuration`, else no limit."
    )
    yield ""
    yield f"`{QUARANTINE_WINDOW}`: has that limit hold for the rows of so much time, as in"
    yield "`10 minutes`. Beyond it the dataset"
    yield "[is paused](../how-to/quality.md#over-some-minutes). Default: that of the spec's"
    yield "`configuration`, else the limit is about one epoch."
    yield ""
    yield "How a table is [maintained](../how-to/maintenance.md#settings), say properties with"
    yield "Delta's own names; those of the spec's `configuration` are the defaults:"
    yield ""
    yield from table(
        ["Property", "A value is"], [[code(name), wanted] for name, (_, wanted) in READ.items()]
    )
    yield f"`{ANOMALIES}`: {one_line(document(OnAnomaly)).split('(')[0].strip()}"
    yield "([how](../how-to/anomalies.md)). Default: that of the spec's `configuration`, else"
    yield f"`{OnAnomaly.WARN}`."
    yield ""
    yield from table(
        ["Value", "What happens"],
        [[code(a.value), _meaning(OnAnomaly, a.name)] for a in OnAnomaly],
    )
    yield f"`{ON_ROW_ERROR}`: {one_line(document(OnRowError)).split('(')[0].strip()}"
    yield "([how](../how-to/quality.md#rows-that-a-query-cannot-compute)). Default:"
    yield f"`{ON_ROW_ERROR}` of the spec's `configuration`, else `{OnRowError.QUARANTINE}`."
    yield ""
    yield from table(
        ["Value", "What happens"],
        [[code(e.value), _meaning(OnRowError, e.name)] for e in OnRowError],
    )
    yield f"`{properties.DRIFT}`: {one_line(document(Drift)).split('(')[0].strip()}:"
    yield ""
    yield from table(
        ["Value", "What happens"], [[code(d.value), _meaning(Drift, d.name)] for d in Drift]
    )
    yield f"Rescued values are JSON in the column `{RESCUED}`."
    yield ""
    yield f"`{STRATEGY}`: {one_line(document(Strategy)).split(',')[0].strip()}"
    yield "([how](../how-to/incremental.md)). Default: `merge` with KEYS, else `append`."
    yield ""
    yield from table(
        ["Value", "What happens"], [[code(s.value), _meaning(Strategy, s.name)] for s in Strategy]
    )
    yield f"`{OUTPUT_MODE}`: {one_line(document(OutputMode)).split(',')[0].strip()}"
    yield "([how](../how-to/event-time.md)). Default: `append` with a watermark."
    yield ""
    yield from table(
        ["Value", "What happens"],
        [[code(m.value), _meaning(OutputMode, m.name)] for m in OutputMode],
    )
    yield f"`{LATE_ROWS}`: What becomes of rows that the watermark has passed. Default: `count`."
    yield ""
    yield from table(
        ["Value", "What happens"], [[code(r.value), _meaning(LateRows, r.name)] for r in LateRows]
    )
    yield f"`{IDLE_TIMEOUT}`: how long a stream brings no rows until it holds the watermark no"
    yield "longer, such as `5 minutes`, or `never`. Default: an hour."
    yield ""


def _comment(field: Field) -> str:
    notes = {
        "_quarantine_flow": "the flow that the row came through",
        "_quarantine_update": "the update, as in `qanat history`",
        "_quarantine_epoch": "the epoch of the flow",
        "_quarantine_source": "where the row came from: the file and the line or row in it",
        "_quarantine_at": "when that update began",
    }
    return (field.comment or notes[field.name]).replace("<", "&lt;")


PAGES: dict[str, Callable[[], Lines]] = {
    "command-line": command_line,
    "spec": spec,
    "sql": sql,
    "connectors": connectors,
    "python": python,
    "python-api": python_api,
    "errors": error_codes,
    "json": json_documents,
    "tables": tables,
}

if __name__ == "__main__":
    main()
