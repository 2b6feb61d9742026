"""`qanat quarantine`: rows that broke a rule, why, and what is to become of them."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.asking import confirmed
from qanat.cli.completion import dataset_names, rule_names
from qanat.cli.options import Logs, ProjectRef, limit, logs, output, project_ref, waits
from qanat.cli.program import Group
from qanat.cli.query import written
from qanat.cli.run import watching
from qanat.errors import full_refresh
from qanat.model.quarantine import MALFORMED, QUARANTINE_FIELDS
from qanat.project import Project
from qanat.project.relation import Query
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.quarantine import discard_text, replay_text, rows_text, summary_text
from qanat.run.discard import discarding
from qanat.run.origins import ORIGIN
from qanat.run.quarantine import rows as first_rows, rule_named
from qanat.run.results import ExportResult
from qanat.text import count, printable

of_rule = click.option(
    "--rule",
    metavar="NAME",
    shell_complete=rule_names,
    help="Only rows that broke this rule.",
)


@click.group(
    "quarantine", cls=Group, short_help="Look at rows in quarantine, replay or discard them."
)
def command() -> None:
    """Look at rows in quarantine, replay them, or throw them away.

    A row that breaks an expectation with the action `quarantine`, or cannot be parsed or computed,
    waits in the table `<dataset>__quarantine` with all the rules it broke.
    """


@command.command("list", short_help="Count the rows in quarantine, by dataset and rule.")
@project_ref
@output
def list_(ref: ProjectRef, json: bool) -> int:
    """Count the rows in quarantine, by dataset and rule. A row may break several rules."""
    with ref.open() as project:
        summaries = project.quarantines()
    if json:
        screen.write(dumps(document("quarantine", summaries)))
    else:
        screen.write(summary_text(summaries, screen.layout()))
    return 0


@command.command("show", short_help="Show rows in quarantine and why they are there.")
@click.argument("dataset", shell_complete=dataset_names)
@limit
@of_rule
@project_ref
@output
def show(dataset: str, limit: int, rule: str | None, ref: ProjectRef, json: bool) -> int:
    """Show rows in quarantine: each with where it came from and every rule it broke."""
    with ref.open() as project:
        view = project.quarantine(dataset).rows(limit, rule)
        tables, root = Path(project.session.project.tables), project.root
    if json:
        screen.write(dumps(document("table", view)))
    elif view.rows:
        screen.write(rows_text(view, tables, root, screen.layout()))
    else:
        broke = f" for breaking {printable(rule)}" if rule else ""
        screen.write(f"No row of {printable(dataset)} is in quarantine{broke}.")
    return 0


@command.command("replay", short_help="Check the rows again and move those that now pass.")
@click.argument("dataset", required=False, shell_complete=dataset_names)
@waits
@project_ref
@logs
@output
def replay_(dataset: str | None, wait: float, ref: ProjectRef, logs: Logs, json: bool) -> int:
    """Check rows in quarantine against the rules as they are now; move those that pass.

    A row that could not be parsed or computed is parsed and computed again first, with the
    options, columns and query of now. Without DATASET: of all datasets. A row is moved once,
    however often this is called.
    """
    with ref.open() as project, watching(logs, json) as observers:
        results = project.replay(dataset, wait=wait, observers=observers)
        examined = [r.dataset for r in results if r.remaining]
        left = [q for q in project.quarantines() if q.dataset in examined] if examined else []
    if json:
        screen.write(dumps(document("replay", results)))
    else:
        screen.write(replay_text(results, screen.layout()))
        for each in left:
            if unparsed := each.rules.get(MALFORMED, 0):
                show = f"qanat quarantine show {shlex.quote(each.dataset)} --rule {MALFORMED}"
                screen.note(
                    f"\n{count(unparsed, 'row')} of {printable(each.dataset)} cannot be taken"
                    f" as the source is read now; to see why: {show}{ref.options}\n"
                    "Mend its options or columns (schema) and replay again, or read the files"
                    f" anew: {full_refresh(each.dataset)}{ref.options}"
                )
    return 0


@command.command("discard", short_help="Throw rows away that nobody needs any more.")
@click.argument("dataset", shell_complete=dataset_names)
@of_rule
@click.option("--where", metavar="SQL", help="Only rows for which this condition is true.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@waits
@project_ref
@logs
@output
def discard_(
    dataset: str,
    rule: str | None,
    where: str | None,
    yes: bool,
    wait: float,
    ref: ProjectRef,
    logs: Logs,
    json: bool,
) -> int:
    """Throw rows in quarantine away, for good. How many, and when, stays in the history.

    Their source is read, so no update brings them back; a full refresh of DATASET does.
    """
    with ref.open() as project:
        quarantine = project.quarantine(dataset)
        rows = discarding(project.session, dataset, rule, where)
        question = f"this discards {count(rows, 'row')} of the quarantine of {printable(dataset)}"
        if not (yes or not rows or confirmed(question, json)):
            screen.note("Nothing is discarded.")
            return 1
        # Only now: progress is painted over what stands on the screen.
        with watching(logs, json) as observers:
            result = quarantine.discard(rule, where, observers, wait)
    screen.write(dumps(document("discard", result)) if json else discard_text(result))
    return 0


@command.command("export", short_help="Write the rows to a CSV, JSON or Parquet file.")
@click.argument("dataset", shell_complete=dataset_names)
@click.argument(
    "file", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE"
)
@of_rule
@click.option("--where", metavar="SQL", help="Only rows for which this condition is true.")
@project_ref
@output
def export_(
    dataset: str, file: Path, rule: str | None, where: str | None, ref: ProjectRef, json: bool
) -> int:
    """Write rows in quarantine, with all that is known of them, to FILE.

    The column `_quarantine_origin` tells where each comes from, also through tables.

    FILE ends in `.csv`, `.json` or `.parquet`. Where no row is in quarantine, it has no row.
    """
    with ref.open() as project:
        rows = written(_chosen(project, dataset, rule, where), file)
    if json:
        screen.write(dumps(document("export", ExportResult(dataset, str(file), rows))))
    else:
        screen.note(f"Wrote {count(rows, 'row')} to {file}.")
    return 0


def _chosen(project: Project, dataset: str, rule: str | None, where: str | None) -> Query:
    """The rows to write; none if no row was ever put there."""
    rule = rule and rule_named(project.session, dataset, rule)
    if first_rows(project.session, dataset, 1, origins=False).version < 0:
        names = (f.name for f in (*QUARANTINE_FIELDS, ORIGIN))
        columns = ", ".join(f"CAST(NULL AS STRING) AS {name}" for name in names)
        return project.query(f"SELECT {columns} WHERE 1 = 0")
    return project.quarantine(dataset).traced(where, rule)
