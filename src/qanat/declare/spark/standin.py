"""Lets files import `pyspark.sql.functions` and its like where PySpark is not installed.

They are sqlframe's, of the extra `spark-frames`: columns that can be written as SQL without Spark.
With PySpark installed nothing changes: files get what they import.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any

from qanat.declare.spark.session import SparkSession
from qanat.errors import needing

_MODULES = {
    "pyspark.sql.functions": "sqlframe.standalone.functions",
    "pyspark.sql.types": "sqlframe.standalone.types",
    "pyspark.sql.window": "sqlframe.standalone.window",
    "pyspark.sql.column": "sqlframe.standalone.column",
}
_NAMES = ("pyspark", "pyspark.sql", "pyspark.pipelines", *_MODULES)


def column_class() -> Any:
    """The class of columns, and a session without which sqlframe makes none.

    Raises:
        MissingExtraError: sqlframe is not installed.
    """
    with needing("a column of a data frame", "spark-frames"):
        standalone = import_module("sqlframe.standalone")
    session = standalone.StandaloneSession.builder.getOrCreate()
    # Spark's own strategy would fold names, and tables show them as their author spelled them.
    dialect = import_module("sqlglot").Dialect.get_or_raise(
        "spark, normalization_strategy = case_sensitive"
    )
    session.input_dialect = dialect
    return standalone.Column


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Make PySpark's modules importable inside the block, by sqlframe; not if PySpark is there."""
    known = "pyspark" in sys.modules or find_spec("pyspark") is not None
    if known or find_spec("sqlframe") is None:
        yield
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n.partition(".")[0] == "pyspark"]:
            del sys.modules[name]


class _Finder(MetaPathFinder, Loader):
    """Makes the modules when a file imports them: importing sqlframe takes half a second."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The spec of a module that this finder makes; None for any other."""
        if fullname not in _NAMES:
            return None
        return spec_from_loader(fullname, self, is_package=fullname in ("pyspark", "pyspark.sql"))

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A module of its own: what stands in is not renamed."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill it with the names of what it stands for."""
        name = module.__name__
        if name == "pyspark":
            return
        if name == "pyspark.pipelines":
            module.__dict__.update(_public(import_module("qanat.pipelines")))
            return
        column = column_class()
        if name == "pyspark.sql":
            window = import_module("sqlframe.standalone.window")
            module.__dict__.update(
                SparkSession=SparkSession, Column=column,
                Window=window.Window, WindowSpec=window.WindowSpec,
            )  # fmt: skip
            frame = import_module("qanat.declare.spark.frame")
            module.__dict__["DataFrame"] = frame.Frame
            return
        module.__dict__.update(_public(import_module(_MODULES[name])))


def _public(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}
