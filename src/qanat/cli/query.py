"""`qanat query`: ask the project's tables by SQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from qanat.cli import excerpt, screen
from qanat.cli.options import ProjectRef, positive, project_ref
from qanat.declare.adhoc import PLACE
from qanat.disk import whole_file
from qanat.errors import CommandLineError
from qanat.project import Query
from qanat.report.delimited import csv_header, csv_lines
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.table import query_text
from qanat.text import count

SHOWN = 20
"""Rows of the text for people, unless they ask for more."""

FORMATS = (".csv", ".json", ".parquet")
"""How the names of files end that rows are written to."""


@click.command("query", short_help="Ask the project's tables by SQL.")
@click.argument("sql")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "csv", "parquet"]),
    default="table",
    help="Text for people, one JSON document, or a file's format.  [default: table]",
)
@click.option(
    "--to",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write to this file instead of standard output; --output parquet needs it.",
)
@click.option(
    "-n",
    "--limit",
    type=int,
    callback=positive,
    metavar="N",
    help=f"Rows at most.  [default: {SHOWN} of a table, else all]",
)
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(
    sql: str, output: str, to: Path | None, limit: int | None, ref: ProjectRef, debug: bool
) -> int:
    """Ask the project's tables by SQL, in the project's dialect; nothing is written to them.

    SQL is one query, or `-` to read it from standard input. It reads tables by the names of
    their datasets, `<dataset>__quarantine` among them, and as they were at a version:
    `FROM silver VERSION AS OF 3`. Rows are not gathered in memory for csv and parquet.
    """
    del debug  # `qanat.cli.failure` looks for it
    if output == "parquet" and to is None:
        raise CommandLineError(
            "--output parquet needs --to FILE",
            hint="qanat query … --output parquet --to x.parquet",
        )
    if to is not None and not to.parent.is_dir():
        raise CommandLineError(f"--to: there is no folder {to.parent}")
    text = sys.stdin.read() if sql == "-" else sql
    excerpt.remember(PLACE, text)
    with ref.open() as project:
        query = project.query(text)
        if to is None:
            for part in _parts(query, output, limit):
                if not screen.write(part):
                    break  # the reader left early: `qanat query … | head`
        elif output == "parquet":
            screen.note(f"Wrote {count(query.write_parquet(to, limit), 'row')} to {to}.")
        else:
            with _whole(to) as file:
                file.writelines(f"{part}\n" for part in _parts(query, output, limit))
    return 0


def written(query: Query, path: Path) -> int:
    """Write a query's rows to a file, in the format that its name tells; how many.

    Raises:
        CommandLineError: its name tells none, or its folder is not there.
    """
    if path.suffix not in FORMATS:
        raise CommandLineError(
            f"{path} does not tell a format", wanted=" or ".join(FORMATS), got=path.suffix or None
        )
    if not path.parent.is_dir():
        raise CommandLineError(f"there is no folder {path.parent}")
    if path.suffix == ".parquet":
        return query.write_parquet(path)
    rows = 0
    with _whole(path) as file:
        if path.suffix == ".json":
            found = query.head(None)
            file.write(dumps(document("query", found)) + "\n")
            return len(found.rows)
        file.write(csv_header([c.name for c in query.columns]) + "\n")
        for chunk in query.chunks():
            file.writelines(f"{line}\n" for line in csv_lines(chunk))
            rows += len(chunk)
    return rows


def _parts(query: Query, output: str, limit: int | None) -> Iterator[str]:
    """What is written, some thousand lines at a time."""
    if output == "table":
        yield query_text(query.head(limit or SHOWN), screen.layout())
    elif output == "json":
        yield dumps(document("query", query.head(limit)))
    else:
        yield csv_header([c.name for c in query.columns])
        for chunk in query.chunks(limit):
            yield "\n".join(csv_lines(chunk))


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that gets its name when everything is in it."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file
