"""The command line: parse, call one public function of `qanat.run`, render what it returns.

`main` is the `program`. `group` loads a command's module when that command runs and not before;
every command is a module of its own. `options` are those that commands share, `failure` turns
errors into words and exit codes, `documents` turns results into the JSON of `--output json`,
`screen`, `grid`, `excerpt` and `summary` lay out text, `template` has the files of a new project,
`crash_test` is what `doctor` does with `--crash-test`.
"""

from qanat.cli.program import main

__all__ = ["main"]
