"""Everything Qanat can tell an author or operator that is wrong.

One root, `QanatError`, and five families by who must act. Every class has a stable code; every
error says what happened, where, what was wanted, what was found, the nearest right name and the
way out, as far as they are known.

`root` has the root; the families are `declaration` (the author must change a file), `contract`
(the data broke a promise), `plan` (the declarations make no pipeline), `adapter` (something
outside is missing or in the way) and `run` (an update could not do its work). `place` adds the
place to an error that does not know it.
"""

from qanat.errors.adapter import (
    AdapterError,
    FileChangedError,
    FileUnreadableError,
    FileVanishedError,
    LedgerError,
    MissingExtraError,
    NotAppendOnlyError,
    SourceNotFoundError,
    SourceUnavailableError,
    StorageFullError,
    TableCorruptError,
    TableNotFoundError,
    TableTooNewError,
    disk_full,
)
from qanat.errors.contract import (
    ContractError,
    ConversionError,
    ExpectationFailedError,
    SchemaDriftError,
    SchemaMismatchError,
)
from qanat.errors.declaration import (
    ColumnNotFoundError,
    CommandLineError,
    DatasetNotFoundError,
    DeclarationError,
    DuplicateNameError,
    FunctionNotFoundError,
    OptionError,
    ProblemsError,
    PythonFileError,
    QueryError,
    SpecError,
    SpecNotFoundError,
    SqlSyntaxError,
    TypeNameError,
    UnsupportedError,
    UpdateNotFoundError,
)
from qanat.errors.place import located
from qanat.errors.plan import CycleError, FlowError, PlanError, SelectionError
from qanat.errors.root import QanatError, nearest
from qanat.errors.run import (
    CommitConflictError,
    EpochConflictError,
    HistoryMismatchError,
    InvariantError,
    LeaseLostError,
    RunError,
    UpdateFailedError,
    UpdateRunningError,
)

__all__ = [
    "AdapterError",
    "ColumnNotFoundError",
    "CommandLineError",
    "CommitConflictError",
    "ContractError",
    "ConversionError",
    "CycleError",
    "DatasetNotFoundError",
    "DeclarationError",
    "DuplicateNameError",
    "EpochConflictError",
    "ExpectationFailedError",
    "FileChangedError",
    "FileUnreadableError",
    "FileVanishedError",
    "FlowError",
    "FunctionNotFoundError",
    "HistoryMismatchError",
    "InvariantError",
    "LeaseLostError",
    "LedgerError",
    "MissingExtraError",
    "NotAppendOnlyError",
    "OptionError",
    "PlanError",
    "ProblemsError",
    "PythonFileError",
    "QanatError",
    "QueryError",
    "RunError",
    "SchemaDriftError",
    "SchemaMismatchError",
    "SelectionError",
    "SourceNotFoundError",
    "SourceUnavailableError",
    "SpecError",
    "SpecNotFoundError",
    "SqlSyntaxError",
    "StorageFullError",
    "TableCorruptError",
    "TableNotFoundError",
    "TableTooNewError",
    "TypeNameError",
    "UnsupportedError",
    "UpdateFailedError",
    "UpdateNotFoundError",
    "UpdateRunningError",
    "disk_full",
    "located",
    "nearest",
]
