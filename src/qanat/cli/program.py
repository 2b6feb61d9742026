"""The program `qanat`: its commands by name, and what happens when one of them ends.

Exit codes: 0 fine, 1 data or run failed, 2 the author must change a file or the command line,
130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click

from qanat import __version__
from qanat.cli.failure import report, report_defect
from qanat.cli.group import LazyGroup, usage_error
from qanat.cli.screen import finish, leave, note, prepare
from qanat.errors import QanatError

COMMANDS = {
    "init": "Write a small project that runs at once.",
    "validate": "Check the whole project without running it.",
    "plan": "Show what an update would do, and why.",
    "run": "Bring the datasets up to date.",
    "test": "Check every expectation on the stored tables.",
    "query": "Ask the project's tables by SQL.",
    "show": "Look at the rows and columns of a table.",
    "lineage": "Show what a table or column is made from.",
    "history": "List past updates and their epochs.",
    "quarantine": "Look at rows in quarantine, and replay them.",
    "profile": "Describe the columns of a table by numbers.",
    "doctor": "Check the installation and the project's storage.",
}
"""The commands in the order of a project's life; each lives in `qanat.cli.<name>`."""

LATER = {
    "backfill": "run a selection again with `qanat run --full-refresh TABLE`",
    "serve": "look at results with `qanat show`, `qanat lineage` and `qanat history`",
    "export": "declare a sink in the project; it writes Parquet, CSV or JSON files",
}
"""Commands of a later release, with what to do until then."""


_OBJECTS = 500_000
"""New objects before garbage is looked for; Python's own 700 suits programs that live long."""


@click.group(
    "qanat",
    cls=LazyGroup,
    package="qanat.cli",
    lazy=COMMANDS,
    later=LATER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    epilog="Every command takes --help, and --output json for scripts.",
)
@click.version_option(__version__, message="qanat %(version)s")
def program() -> None:
    """Declarative data pipelines with quality in the write path."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code.

    Args:
        arguments: without the program's name; default: those of the process, which then ends
            here.

    Raises:
        SystemExit: with arguments of the caller's.
    """
    # Importing makes hundreds of thousands of objects that all stay: looking through them again
    # and again for garbage is a twentieth of a short run.
    gc.set_threshold(_OBJECTS, 20, 20)
    given = list(sys.argv[1:] if arguments is None else arguments)
    prepare()
    if "--debug" not in given:
        sys.excepthook = report_defect
    try:
        code = program.main(given, prog_name="qanat", standalone_mode=False)
    except click.UsageError as error:
        code = report(usage_error(error, given), given)
    except QanatError as error:
        code = report(error, given)
    except (click.Abort, KeyboardInterrupt):
        note("\nInterrupted. Nothing is half-written; `qanat run` continues where this stopped.")
        code = 130
    finish()
    code = code if isinstance(code, int) else 0
    if arguments is None:
        leave(code)
    sys.exit(code)
