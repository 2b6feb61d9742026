"""`qanat run`: bring the datasets up to date."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

import click

from qanat.cli import failure, screen
from qanat.cli.options import (
    ListsCommand,
    Logs,
    ProjectRef,
    Refreshes,
    logs,
    output,
    project_ref,
    refresh_options,
    selection,
    waits,
)
from qanat.errors import CommandLineError
from qanat.ports.observer import Observer
from qanat.report.failure import dumps
from qanat.report.update import update_text
from qanat.run.results import UpdateResult


def _address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or int(port) > _PORTS:
        raise click.BadParameter(f"{value!r} is no port, nor HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


_PORTS = 65535


@click.command("run", cls=ListsCommand, short_help="Bring the datasets up to date.")
@selection
@refresh_options
@waits
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `qanat plan` does.")
@click.option(
    "--continuous",
    is_flag=True,
    help="Go on until Ctrl-C or SIGTERM: take what is new as soon as it is there.",
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    callback=_address,
    help="With --continuous: serve metrics there for Prometheus.  [host: 127.0.0.1]",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write an HTML page of the update to this file, as `qanat report` does.",
)
@click.option(
    "--origin",
    metavar="TEXT",
    help="What starts the update, for the history: a task of an orchestrator, say.",
)
@project_ref
@logs
@output
def command(
    select: tuple[str, ...],
    refreshes: Refreshes,
    wait: float,
    dry_run: bool,
    continuous: bool,
    metrics: tuple[str, int] | None,
    report: Path | None,
    origin: str | None,
    ref: ProjectRef,
    logs: Logs,
    json: bool,
) -> int:
    """Bring the datasets up to date: read what is new, check it, publish it.

    With --continuous, a dataset that fails is tried again while the others go on, and changed
    files of the project are read again. It waits for other updates as long as it takes, unless
    --wait says how long: a second one stands by for the first. --output json then writes one line
    for each event.

    Exit code 0: everything is up to date. 1: data or a run failed; the datasets that do not
    depend on the failed ones are up to date. 2: a file of the project has to be changed.
    """
    if continuous and any(vars(refreshes).values()):
        raise CommandLineError(
            "--continuous takes what is new; a refresh is an update of its own",
            hint="leave --continuous out, and run continuously afterwards",
        )
    if metrics and not continuous:
        raise CommandLineError(
            "--metrics is served while an update runs, and this one ends by itself",
            hint="qanat run --continuous --metrics 9464",
        )
    if report is not None and (continuous or dry_run):
        raise CommandLineError(
            "--report is about an update that has ended",
            hint="leave it out, and write the page later: qanat report",
        )
    if origin is not None and (continuous or dry_run):
        raise CommandLineError(
            "--origin tells in the history what started an update that ends by itself",
            hint="leave it out",
        )
    with ref.open() as project:
        if dry_run:
            planned = project.plan(select, **vars(refreshes))
            show_plan = import_module("qanat.cli.plan").show_plan
            return cast("int", show_plan(planned, json, ref.options))
        if continuous:
            go_on = import_module("qanat.cli.continuous").run
            result: UpdateResult = go_on(project, select, wait or True, logs, json, metrics)
            if not json:
                _show(result, ref, "")
            return exit_code(result)
        with watching(logs, json) as observers:
            result = project.run(
                select, **vars(refreshes), wait=wait, origin=origin, observers=observers
            )
        if report is not None and result.id:
            # Imported only here: few updates write a page.
            write = import_module("qanat.report.page").write
            write(report, project.report(result.id).html())
        # Here, a run of everything would make tables that are read from the other environment.
        chosen = _chosen(select, refreshes) if project.session.project.reads_from else ()
    if json:
        # Imported only here: all kinds of documents come with it.
        document = import_module("qanat.report.documents").document
        screen.write(dumps(document("update", result)))
    else:
        _show(result, ref, _options(chosen))
    return exit_code(result)


def _show(result: UpdateResult, ref: ProjectRef, selected: str) -> None:
    """What was done, and what went wrong."""
    screen.write(update_text(result, ref.options, screen.layout(), selected))
    errors = [d.error for d in result.failed if d.error is not None]
    if errors:
        screen.note("\n" + failure.describe_all(errors, ref.start, ref.options))


def _chosen(select: tuple[str, ...], refreshes: Refreshes) -> tuple[str, ...]:
    """What an update was restricted to; empty if it was of everything."""
    if refreshes.full_refresh is True:
        return select
    return (*select, *refreshes.refresh, *cast("tuple[str, ...]", refreshes.full_refresh))


def _options(chosen: tuple[str, ...]) -> str:
    return "".join(f" --select {shlex.quote(each)}" for each in dict.fromkeys(chosen))


def exit_code(result: UpdateResult) -> int:
    """0 if nothing failed; 2 if a failure is one that a file of the project causes; else 1."""
    return failure.exit_code(d.error for d in result.failed) or int(result.status == "failed")


@contextmanager
def watching(logs: Logs, json: bool) -> Iterator[tuple[Observer, ...]]:
    """The observers that suit the command line and the terminal, while the block runs.

    Progress goes to standard error, so that results can be redirected.
    """
    # Only what is used is imported: rich and logging cost more than an unchanged update.
    if logs.wanted:
        to_stream = import_module("qanat.observe.logs").to_stream
        yield (to_stream(sys.stderr, logs.format or "text", logs.level or "info"),)
    elif json:
        yield ()
    elif screen.interactive(sys.stderr):
        progress = import_module("qanat.observe.terminal.progress").ProgressObserver
        with progress(sys.stderr, colour=screen.coloured(sys.stderr)) as observer:
            yield (observer,)
    else:
        yield (import_module("qanat.observe.terminal.lines").LinesObserver(sys.stderr),)
