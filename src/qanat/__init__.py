"""Qanat: declare a data pipeline once, in SQL or Python, and trust what comes out.

`qanat.open(path)` gives a project to run, ask and look into. In a project's own files,
`import qanat as dp` and `from qanat import pipelines as dp` give the same decorators. They are
fetched when first used, so that `import qanat` itself costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qanat.pipelines import (
        append_flow as append_flow,
        apply_changes as apply_changes,
        apply_changes_from_snapshot as apply_changes_from_snapshot,
        create_auto_cdc_flow as create_auto_cdc_flow,
        create_auto_cdc_from_snapshot_flow as create_auto_cdc_from_snapshot_flow,
        create_sink as create_sink,
        create_streaming_table as create_streaming_table,
        expect as expect,
        expect_all as expect_all,
        expect_all_or_drop as expect_all_or_drop,
        expect_all_or_fail as expect_all_or_fail,
        expect_all_or_quarantine as expect_all_or_quarantine,
        expect_or_drop as expect_or_drop,
        expect_or_fail as expect_or_fail,
        expect_or_quarantine as expect_or_quarantine,
        materialized_view as materialized_view,
        table as table,
        temporary_view as temporary_view,
        udf as udf,
    )
    from qanat.project import Project as Project, open_project

    open = open_project

__version__ = "0.1.0"

_DECORATORS = frozenset(
    {
        "append_flow",
        "apply_changes",
        "apply_changes_from_snapshot",
        "create_auto_cdc_flow",
        "create_auto_cdc_from_snapshot_flow",
        "create_sink",
        "create_streaming_table",
        "expect",
        "expect_all",
        "expect_all_or_drop",
        "expect_all_or_fail",
        "expect_all_or_quarantine",
        "expect_or_drop",
        "expect_or_fail",
        "expect_or_quarantine",
        "materialized_view",
        "table",
        "temporary_view",
        "udf",
    }
)


_PROJECT = {"Project": "Project", "open": "open_project"}


def __getattr__(name: str) -> Any:
    if name in _PROJECT:
        return getattr(import_module("qanat.project"), _PROJECT[name])
    if name in _DECORATORS:
        return getattr(import_module("qanat.pipelines"), name)
    raise AttributeError(f"module 'qanat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_DECORATORS, *_PROJECT})
