"""A project as a Python object: what `qanat.open` gives, and what the command line calls.

`opening` opens one. `opened` has the object and its functions (those that keep it in order are in
`upkeep`, those that tell of its data in `quality`, what keeps its datasets up to date in
`continuous`, what updates them when it is time in `schedules`: `serving` is the loop, `crew` its
processes, `worker` what each of them does, `forked` what they are forked from; both are
`followed`), `relation` what can be read as a data frame, `table` the tables and quarantines among
these, `shown` the results, which show themselves in a notebook. `selecting` turns arguments into
what is selected, `stamps` tells whether files have changed, `pages` keeps pages of updates.
"""

from qanat.project.opened import Project
from qanat.project.opening import doctor, open_project
from qanat.project.relation import Query, Relation
from qanat.project.shown import (
    Anomalies,
    Backtests,
    Checks,
    DueRuns,
    Events,
    FirstRows,
    History,
    Lineage,
    Maintenance,
    MetricsHistory,
    Paused,
    Plan,
    Profile,
    Profiles,
    Promotion,
    QuarantinedRows,
    Renaming,
    Replays,
    Schedules,
    State,
    Suggestions,
    Summaries,
    Update,
    Validation,
)
from qanat.project.table import Quarantine, Table, TableVersion

__all__ = [
    "Anomalies",
    "Backtests",
    "Checks",
    "DueRuns",
    "Events",
    "FirstRows",
    "History",
    "Lineage",
    "Maintenance",
    "MetricsHistory",
    "Paused",
    "Plan",
    "Profile",
    "Profiles",
    "Project",
    "Promotion",
    "Quarantine",
    "QuarantinedRows",
    "Query",
    "Relation",
    "Renaming",
    "Replays",
    "Schedules",
    "State",
    "Suggestions",
    "Summaries",
    "Table",
    "TableVersion",
    "Update",
    "Validation",
    "doctor",
    "open_project",
]
