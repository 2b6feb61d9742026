"""The data broke a promise; who sends it or who declared the promise must act."""

from __future__ import annotations

from typing import ClassVar

from qanat.errors.root import QanatError


class ContractError(QanatError):
    """Data does not keep a declared promise."""

    code: ClassVar[str] = "Q2000"


class ExpectationFailedError(ContractError):
    """Rows violate an expectation whose action is `fail`; nothing was published."""

    code = "Q2001"


class SchemaDriftError(ContractError):
    """A source has columns that the `freeze` policy does not let in."""

    code = "Q2002"


class SchemaMismatchError(ContractError):
    """A query's columns or types do not fit the table they go into."""

    code = "Q2003"


class ConversionError(ContractError):
    """A value cannot be what a query or rule converts it to."""

    code = "Q2004"
