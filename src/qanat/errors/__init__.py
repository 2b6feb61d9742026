"""All errors that Qanat raises: one root, and five families by who must act.

    QanatError                          Q0000
    ├── DeclarationError                Q1000  the author must change a file or the command line
    │   ├── SpecNotFoundError           Q1001
    │   ├── SpecError                   Q1002
    │   ├── SqlSyntaxError              Q1003
    │   ├── PythonFileError             Q1004
    │   ├── DuplicateNameError          Q1005
    │   ├── DatasetNotFoundError        Q1006
    │   ├── ColumnNotFoundError         Q1007
    │   ├── FunctionNotFoundError       Q1008
    │   ├── QueryError                  Q1009
    │   ├── TypeNameError               Q1010
    │   ├── OptionError                 Q1011
    │   ├── UnsupportedError            Q1012
    │   ├── CommandLineError            Q1013
    │   ├── UpdateNotFoundError         Q1014
    │   ├── BreakingChangeError         Q1015
    │   ├── ScheduleNotFoundError       Q1016
    │   └── ProblemsError               Q1099
    ├── ContractError                   Q2000  the data broke a declared promise
    │   ├── ExpectationFailedError      Q2001
    │   ├── SchemaDriftError            Q2002
    │   ├── SchemaMismatchError         Q2003
    │   ├── ConversionError             Q2004
    │   ├── QuarantineLimitError        Q2005
    │   ├── SequenceTieError            Q2006
    │   ├── AmbiguousMergeError         Q2007
    │   ├── AnomalyError                Q2008
    │   └── CheckUndecidedError         Q2009
    ├── PlanError                       Q3000  the declarations make no pipeline together
    │   ├── CycleError                  Q3001
    │   ├── FlowError                   Q3002
    │   ├── SelectionError              Q3003
    │   ├── ResetError                  Q3004
    │   ├── RereadError                 Q3005
    │   └── PromotionError              Q3006
    ├── AdapterError                    Q4000  something outside is missing, full or unreachable
    │   ├── MissingExtraError           Q4001
    │   ├── SourceNotFoundError         Q4002
    │   ├── SourceUnavailableError      Q4003
    │   ├── FileUnreadableError         Q4004
    │   ├── FileChangedError            Q4005
    │   ├── FileVanishedError           Q4006
    │   ├── StorageFullError            Q4007
    │   ├── TableNotFoundError          Q4008
    │   ├── TableTooNewError            Q4009
    │   ├── TableCorruptError           Q4010
    │   ├── NotAppendOnlyError          Q4011
    │   ├── LedgerError                 Q4012
    │   │   └── LedgerLostError         Q4014
    │   ├── NotAllowedError             Q4013
    │   └── UndeliveredError            Q4015
    └── RunError                        Q5000  an update could not do its work
        ├── UpdateRunningError          Q5001
        ├── LeaseLostError              Q5002
        ├── EpochConflictError          Q5003
        ├── CommitConflictError         Q5004
        ├── HistoryMismatchError        Q5005
        ├── InvariantError              Q5006
        ├── UpdateFailedError           Q5007
        ├── RowsLostError               Q5008
        └── ForeignTableError           Q5009

Every class has a stable code. Every error carries what happened, where, what was wanted, what was
found, the nearest right name and a hint, as far as they are known.

`root` defines `QanatError` and the `Location` that it may have; `declaration`, `contract`, `plan`,
`adapter` and `run` each define one family; `extra` names the extra that brings a missing package.
"""

from qanat.errors.adapter import (
    AdapterError,
    Again,
    FileChangedError,
    FileUnreadableError,
    FileVanishedError,
    LedgerError,
    LedgerLostError,
    MissingExtraError,
    NotAllowedError,
    NotAppendOnlyError,
    SourceNotFoundError,
    SourceUnavailableError,
    StorageFullError,
    TableCorruptError,
    TableNotFoundError,
    TableTooNewError,
    UndeliveredError,
    disk_full,
)
from qanat.errors.contract import (
    AmbiguousMergeError,
    AnomalyError,
    CheckUndecidedError,
    ContractError,
    ConversionError,
    ExpectationFailedError,
    QuarantineLimitError,
    SchemaDriftError,
    SchemaMismatchError,
    SequenceTieError,
)
from qanat.errors.declaration import (
    BreakingChangeError,
    ColumnNotFoundError,
    CommandLineError,
    DatasetNotFoundError,
    DeclarationError,
    DuplicateNameError,
    FunctionNotFoundError,
    OptionError,
    Problems,
    ProblemsError,
    PythonFileError,
    QueryError,
    ScheduleNotFoundError,
    SpecError,
    SpecNotFoundError,
    SqlSyntaxError,
    TypeNameError,
    UnsupportedError,
    UpdateNotFoundError,
)
from qanat.errors.extra import check_installed, install, needing
from qanat.errors.plan import (
    CycleError,
    FlowError,
    PlanError,
    PromotionError,
    RereadError,
    ResetError,
    SelectionError,
)
from qanat.errors.root import DATASET, Location, QanatError, full_refresh, located, naming, nearest
from qanat.errors.run import (
    CommitConflictError,
    EpochConflictError,
    ForeignTableError,
    HistoryMismatchError,
    InvariantError,
    LeaseLostError,
    RowsLostError,
    RunError,
    UpdateFailedError,
    UpdateRunningError,
)

__all__ = [
    "DATASET",
    "AdapterError",
    "Again",
    "AmbiguousMergeError",
    "AnomalyError",
    "BreakingChangeError",
    "CheckUndecidedError",
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
    "ForeignTableError",
    "FunctionNotFoundError",
    "HistoryMismatchError",
    "InvariantError",
    "LeaseLostError",
    "LedgerError",
    "LedgerLostError",
    "Location",
    "MissingExtraError",
    "NotAllowedError",
    "NotAppendOnlyError",
    "OptionError",
    "PlanError",
    "Problems",
    "ProblemsError",
    "PromotionError",
    "PythonFileError",
    "QanatError",
    "QuarantineLimitError",
    "QueryError",
    "RereadError",
    "ResetError",
    "RowsLostError",
    "RunError",
    "ScheduleNotFoundError",
    "SchemaDriftError",
    "SchemaMismatchError",
    "SelectionError",
    "SequenceTieError",
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
    "UndeliveredError",
    "UnsupportedError",
    "UpdateFailedError",
    "UpdateNotFoundError",
    "UpdateRunningError",
    "check_installed",
    "disk_full",
    "full_refresh",
    "install",
    "located",
    "naming",
    "nearest",
    "needing",
]
