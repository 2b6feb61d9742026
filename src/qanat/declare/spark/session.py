"""What `spark` is in a project's file, and how its functions' results become SQL."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from qanat.errors import UnsupportedError

_NAMES = ("read", "readStream", "sql", "table")


class SparkText(str):
    """SQL in Spark's dialect, whatever the project's is."""

    dialect: ClassVar[str] = "spark"


class Session:
    """`spark`, which every file of a project has. Nothing is read when a function uses it.

    >>> spark = Session()
    >>> spark.readStream.table("events").where("amount > 1").select("id").query()
    'SELECT `id` FROM STREAM `events` AS `events` WHERE `amount` > 1'
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _NAMES:
            raise UnsupportedError(
                f"spark.{name} is not supported",
                wanted=", ".join(f"spark.{n}" for n in _NAMES),
                hint="what a pipeline cannot say with these, SQL text can",
            )
        # Not imported above: this brings sqlglot.
        reader = import_module("qanat.declare.spark.reader")
        return reader.provided(name)


class _Builder:
    """`SparkSession.builder`: settings have no meaning here, and there is one session."""

    def __getattr__(self, name: str) -> Any:
        if name not in ("appName", "config", "enableHiveSupport", "master", "remote"):
            raise AttributeError(name)
        return lambda *_, **__: self

    def getOrCreate(self) -> Session:  # noqa: N802 - Spark's name
        """The file's `spark`."""
        return Session()


class SparkSession:
    """What a file gets that imports it from `pyspark.sql`."""

    builder = _Builder()

    @staticmethod
    def active() -> Session:
        """The file's `spark`."""
        return Session()

    getActiveSession = active  # noqa: N815 - Spark's name


def as_text(result: Any) -> Any:
    """The SQL of a frame; any other result of a function as it is."""
    if type(result).__module__ == "qanat.declare.spark.frame":
        return SparkText(result.query())
    return result
