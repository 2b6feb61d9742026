"""`qanat suggest`: checks that the tables suggest."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.model.expectation import Action
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.suggest import suggestions_text


@click.command("suggest", short_help="Suggest checks that the rows of tables keep.")
@click.argument("datasets", nargs=-1, shell_complete=dataset_names)
@click.option("--apply", is_flag=True, help="Write the checks into the project's files.")
@click.option(
    "--action",
    type=click.Choice([str(action) for action in Action]),
    default=str(Action.WARN),
    show_default=True,
    help="What the checks do with rows that violate them.",
)
@click.option("--all", "everything", is_flag=True, help="Also show what did not hold, and why.")
@click.option(
    "--held-out",
    metavar="N",
    type=click.IntRange(min=1),
    help="Try candidates on the N newest updates.  [default: a quarter]",
)
@project_ref
@output
def command(
    datasets: tuple[str, ...],
    apply: bool,
    action: str,
    everything: bool,
    held_out: int | None,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Suggest checks that the older rows of tables keep, each tried on the newest rows first.

    With DATASETS: only for these. Shows the change to checks/DATASET.yml; --apply writes it. What
    the declared checks say already is not suggested.
    """
    with ref.open() as project:
        found = project.suggest(datasets, action=action, held_out=held_out, apply=apply)
    if json:
        screen.write(dumps(document("suggest", found)))
    else:
        screen.write(suggestions_text(found, screen.layout(), everything))
    return 0
