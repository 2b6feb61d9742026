"""`qanat anomalies`: what was out of the ordinary, and what people say of it."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.cli.program import Group
from qanat.model.anomaly import Verdict
from qanat.project import Anomalies
from qanat.report.anomalies import anomalies_text, marked_text
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.group(
    "anomalies",
    cls=Group,
    short_help="See what was out of the ordinary, and say whether it was expected.",
)
def command() -> None:
    """See what was out of the ordinary, and say whether it was expected.

    Every update compares its metrics (rows, shares of NULLs, of broken rules, of quarantined and
    dropped rows, and for how long nothing has come) with their history. Nothing is to be set up.
    """


@command.command("list", short_help="List what was out of the ordinary, newest first.")
@click.argument("dataset", required=False, shell_complete=dataset_names)
@limit
@project_ref
@output
def list_(dataset: str | None, limit: int, ref: ProjectRef, json: bool) -> int:
    """List what was out of the ordinary, newest first. With DATASET: only there."""
    with ref.open() as project:
        found = project.anomalies(dataset, limit)
    text = anomalies_text(found, screen.layout())
    screen.write(dumps(document("anomalies", found)) if json else text)
    return 0


@command.command("mark", short_help="Say whether something was wrong.")
@click.argument("dataset", shell_complete=dataset_names)
@click.argument("verdict", type=click.Choice([v.value for v in Verdict]))
@click.option("--metric", metavar="NAME", help="Only this one.  [default: all of that update]")
@click.option("--update", metavar="ID", help="Of this update.  [default: the newest with one]")
@project_ref
@output
def mark(
    dataset: str,
    verdict: str,
    metric: str | None,
    update: str | None,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Say of the anomalies of an update whether something was wrong. It is remembered.

    `expected`: nothing was wrong, and such values belong to the history. `anomaly`: something was,
    and the values stay out of it.
    """
    with ref.open() as project:
        marked = project.mark(dataset, verdict, metric, update)
        known = project.anomalies(dataset, 0)
    found = Anomalies(marked, known.metrics, known.budget)
    screen.write(dumps(document("anomalies", found)) if json else marked_text(marked))
    return 0
