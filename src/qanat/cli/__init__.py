"""The command line: parse, call one function of a project, render what it returns.

`program` has `main` and the table of commands; a command's module is loaded when that command runs
and not before, and every command is a module of its own. `options` are those that commands share,
`asking` asks before something is taken away, `completion` what shells complete, `failure` turns
errors into words and exit codes with an `excerpt` of the author's file, `screen` knows the
terminal, `interrupt` what Ctrl-C does, `bar` shows long work, `template` has the files of a new
project, `continuous` is what `run` does with `--continuous`, `crash_test` what `doctor` does with
`--crash-test`, and `import_` the command `import`. Results become text and JSON in `qanat.report`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code, as `program.main` does.

    Args:
        arguments: without the program's name; default: those of the process.
    """
    try:
        run = import_module("qanat.cli.program").main
    except KeyboardInterrupt:
        # Nothing has begun yet, and nothing that could say it better is loaded.
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
    run(arguments)
