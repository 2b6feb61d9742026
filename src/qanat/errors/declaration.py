"""Errors that the author mends by changing a file of the project, or the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from qanat.errors.root import QanatError
from qanat.text import count


class DeclarationError(QanatError):
    """A declaration is wrong."""

    code: ClassVar[str] = "Q1000"
    exit_code = 2


class SpecNotFoundError(DeclarationError):
    """No `qanat.yml` or `spark-pipeline.yml` here or in any folder above."""

    code = "Q1001"


class SpecError(DeclarationError):
    """The spec has a key or value that does not exist or does not fit."""

    code = "Q1002"


class SqlSyntaxError(DeclarationError):
    """A `.sql` file does not parse."""

    code = "Q1003"


class PythonFileError(DeclarationError):
    """A `.py` file of the project cannot be imported, or a decorator is misused."""

    code = "Q1004"


class DuplicateNameError(DeclarationError):
    """Two datasets, flows, expectations or functions have one name."""

    code = "Q1005"


class DatasetNotFoundError(DeclarationError):
    """A query or rule names a dataset that no file declares."""

    code = "Q1006"


class ColumnNotFoundError(DeclarationError):
    """A query or rule uses a column that its inputs do not have."""

    code = "Q1007"


class FunctionNotFoundError(DeclarationError):
    """A query calls a function that the engine does not have."""

    code = "Q1008"


class QueryError(DeclarationError):
    """The engine refuses a query for another reason: types, arguments, an ambiguous name."""

    code = "Q1009"


class TypeNameError(DeclarationError):
    """A declared column type does not exist or cannot be stored."""

    code = "Q1010"


class OptionError(DeclarationError):
    """An option of `read_files`, a table property or a decorator argument is wrong."""

    code = "Q1011"


class UnsupportedError(DeclarationError):
    """Qanat does not support a construct that other systems have; the hint names a way out."""

    code = "Q1012"


class CommandLineError(DeclarationError):
    """A command, option or argument of `qanat` does not exist or does not fit."""

    code = "Q1013"


class UpdateNotFoundError(DeclarationError):
    """The command line names an update that the ledger does not know."""

    code = "Q1014"


class BreakingChangeError(DeclarationError):
    """What a project declares no longer keeps one of its data contracts."""

    code = "Q1015"


class ScheduleNotFoundError(DeclarationError):
    """The command line names a schedule that the spec does not have."""

    code = "Q1016"


class ProblemsError(DeclarationError):
    """Several problems, reported together.

    Its message and facts are those of the first; `problems` has all.

    Args:
        problems: one or more errors, in the order of files and lines.
    """

    code = "Q1099"

    def __init__(self, problems: Sequence[QanatError]) -> None:
        first, *more = problems
        also = f"; and {count(len(more), 'more problem')}" if more else ""
        super().__init__(first.message + also, location=first.location)
        self._problems = tuple(problems)
        self.exit_code = max(p.exit_code for p in problems)

    @property
    def problems(self) -> tuple[QanatError, ...]:
        """The errors, in the order of files and lines."""
        return self._problems

    def facts(self) -> dict[str, Any]:
        """Those of the first error."""
        return self._problems[0].facts()

    def __str__(self) -> str:
        return "\n".join(str(p) for p in self.problems)


class Problems(list[QanatError]):
    """Errors that do not depend on one another: each is met, and all are told.

    >>> problems = Problems()
    >>> for name in ("a", "b"):
    ...     with problems.collecting():
    ...         raise OptionError(f"no option {name!r}")
    >>> len(problems)
    2
    """

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add an error of the block instead of raising it."""
        try:
            yield
        except ProblemsError as error:
            self += error.problems
        except QanatError as error:
            self.append(error)

    def require(self) -> None:
        """Raise what was found: the one error, or all of them as one.

        Raises:
            QanatError: there is one.
            ProblemsError: there are several.
        """
        if self:
            raise self.as_one()

    def as_one(self) -> QanatError:
        """The one error that there is, or all of them as one; call it only if there are some."""
        return self[0] if len(self) == 1 else ProblemsError(self)
