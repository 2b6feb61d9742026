"""Errors about data that broke a promise: its sender, or the promise's author, must act."""

from __future__ import annotations

from typing import ClassVar

from qanat.errors.root import QanatError


class ContractError(QanatError):
    """Data breaks a declared promise."""

    code: ClassVar[str] = "Q2000"


class ExpectationFailedError(ContractError):
    """Rows violate an expectation whose action is `fail`; nothing was published."""

    code = "Q2001"


class SchemaDriftError(ContractError):
    """A source has new columns, and its schema drift policy is `freeze`."""

    code = "Q2002"


class SchemaMismatchError(ContractError):
    """A query's columns or types do not fit the table that it writes to."""

    code = "Q2003"
    exit_code = 2


class ConversionError(ContractError):
    """A value cannot be converted to the type that a query or rule asks for."""

    code = "Q2004"


class QuarantineLimitError(ContractError):
    """More rows would go to quarantine than `qanat.quarantine_limit` allows."""

    code = "Q2005"


class SequenceTieError(ContractError):
    """Two changes of one key have the same sequence, so that nothing tells which comes first."""

    code = "Q2006"


class AmbiguousMergeError(ContractError):
    """Several rows of the source of a MERGE INTO would change one row of the table."""

    code = "Q2007"


class AnomalyError(ContractError):
    """A metric is beyond what its history lets expect, where `qanat.anomalies` is `fail`."""

    code = "Q2008"


class CheckUndecidedError(ContractError):
    """Nobody can say whether an expectation about a table holds: what it measures is NULL."""

    code = "Q2009"
