"""`qanat export`: what a project declares, in the form of other tools."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, project_ref, selection
from qanat.cli.program import Group
from qanat.errors import CommandLineError
from qanat.model.trigger import check_cron
from qanat.orchestrate.manifest import manifest_of
from qanat.orchestrate.written import Export, written
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.group("export", cls=Group, short_help="Write what is declared in the form of other tools.")
def command() -> None:
    """Write what the project declares in the form of other tools."""


@command.command("contract", short_help="Write a data contract for a dataset.")
@click.argument("dataset", shell_complete=dataset_names)
@click.option("--version", "version", default="1.0.0", help="Of the contract.  [default: 1.0.0]")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def contract(dataset: str, version: str, ref: ProjectRef, debug: bool) -> int:
    """Write a contract of the Open Data Contract Standard for a dataset as it is declared.

    Columns, keys and checks go into it. Written into the project's folder `contracts`, it is kept
    from then on: qanat export contract orders > contracts/orders.odcs.yaml
    """
    del debug
    with ref.open() as project:
        text = project.export_contract(dataset, version)
    screen.write(text.rstrip("\n"))
    return 0


@command.command("openlineage", short_help="Write documents of OpenLineage for a catalog.")
@click.argument("update", required=False)
@click.option("--namespace", default="qanat", help="Of the jobs.  [default: qanat]")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def openlineage(update: str | None, namespace: str, ref: ProjectRef, debug: bool) -> int:
    """Write what an update did as documents of OpenLineage, one JSON object on each line.

    UPDATE is an identifier as `qanat history` prints it, or `last`. Without it, the datasets of
    the project and the jobs that make them are written, as events that need no run.
    """
    del debug
    with ref.open() as project:
        for document in project.export_openlineage(update, namespace=namespace):
            screen.write(json.dumps(document))
    return 0


@command.command("manifest", short_help="Write what an orchestrator needs to know, as JSON.")
@selection
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def manifest(select: tuple[str, ...], ref: ProjectRef, debug: bool) -> int:
    """Write the datasets, what they read, and their expectations, as a JSON document.

    An orchestrator that has this file need not have the project's files to know its tasks:
    qanat export manifest > dags/shop.json
    """
    del debug
    with ref.open() as project:
        found = project.manifest(select)
    screen.write(dumps(document("manifest", found)))
    return 0


def _cron(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or value in _NAMED_TIMES:
        return value
    if len(value.split()) == _FIELDS:
        with suppress(ValueError):
            check_cron(value)
            return value
    raise click.BadParameter(
        f"{value!r} is no cron expression of five fields, as '0 3 * * *', nor"
        f" {', '.join(_NAMED_TIMES)}"
    )


_FIELDS = 5
_NAMED_TIMES = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
"""What all orchestrators take in place of an expression."""


def _orchestrator(name: str, title: str, what: str) -> None:
    """Add the command that writes a file of an orchestrator."""

    @command.command(name, short_help=f"Write {what}.")
    @selection
    @click.option(
        "--granularity",
        type=click.Choice(["dataset", "group", "project"]),
        default="dataset",
        help="A task for each dataset, for each group, or one for all.  [default: dataset]",
    )
    @click.option(
        "--schedule",
        metavar="CRON",
        callback=_cron,
        help="When it runs, as '0 3 * * *' or @daily, in UTC.  [default: only by hand]",
    )
    @click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=2,
        metavar="N",
        help="How often a task that failed is tried again.  [default: 2]",
    )
    @click.option(
        "--qanat",
        metavar="PROGRAM",
        help="What runs updates, as /opt/qanat/bin/qanat.  [default: what the orchestrator finds]",
    )
    @click.option(
        "--to",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write to this file.  [default: standard output]",
    )
    @click.option("--overwrite", is_flag=True, help="Replace a file that was changed.")
    @project_ref
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    def write(
        select: tuple[str, ...],
        granularity: str,
        schedule: str | None,
        retries: int,
        qanat: str | None,
        file: Path | None,
        overwrite: bool,
        ref: ProjectRef,
        debug: bool,
    ) -> int:
        del debug
        with ref.open() as project:
            found = document("manifest", project.manifest(select))
        text = written(
            name,
            Export(
                manifest=manifest_of(found),
                root=found["root"],
                environment=ref.environment,
                select=select,
                granularity=granularity,
                schedule=schedule,
                retries=retries,
                qanat=qanat,
            ),
        )
        if file is None:
            screen.write(text.rstrip("\n"))
        else:
            _keep(file, text, overwrite)
        return 0

    write.help = (
        f"Write {what}.\n\n"
        f"It is ordinary code, and yours to change. {title} needs `qanat.orchestrate.{name}`,"
        " which `pip install --no-deps qanat` installs. The same project gives the same text."
    )


def _keep(file: Path, text: str, overwrite: bool) -> None:
    """Write a file, unless somebody has changed it.

    Raises:
        CommandLineError: it is there, with something else in it.
    """
    if file.exists() and not overwrite and file.read_text(encoding="utf-8") != text:
        raise CommandLineError(f"{file} is there and has other content; --overwrite replaces it")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    screen.note(f"Wrote {file}")


_orchestrator("airflow", "Airflow", "an Airflow DAG")
_orchestrator("dagster", "Dagster", "Dagster definitions")
_orchestrator("luigi", "Luigi", "Luigi tasks")
_orchestrator("prefect", "Prefect", "a Prefect flow")
