"""`spark.read`, `spark.readStream`, `spark.table` and `spark.sql`: where a frame begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.declare.spark.frame import Frame
from qanat.declare.spark.selected import Selected
from qanat.declare.spark.terms import quoted, written
from qanat.errors import OptionError, UnsupportedError, nearest

_FILES = ("csv", "json", "parquet")
_FORMATS = (*_FILES, "kafka")


def provided(name: str) -> Any:
    """What the attribute `name` of `spark` is."""
    if name in ("read", "readStream"):
        return Reader(streaming=name == "readStream")
    return table if name == "table" else sql


def table(tableName: str) -> Frame:  # noqa: N803 - Spark's name
    """All rows of a dataset."""
    return Reader(streaming=False).table(tableName)


def sql(sqlQuery: str, args: Any = None, **kwargs: Any) -> Frame:  # noqa: N803 - Spark's name
    """A query as SQL text, which may read streams: `spark.sql("SELECT * FROM STREAM events")`."""
    if args is not None or kwargs:
        raise UnsupportedError(
            "spark.sql with arguments is not supported", hint="write them into the text"
        )
    text = sqlQuery.strip().rstrip(";")
    return Frame(Selected("", closed=True, raw=text))


class Reader:
    """What `spark.read` and `spark.readStream` are."""

    def __init__(self, streaming: bool) -> None:
        self._streaming = streaming
        self._format = ""
        self._schema = ""
        self._options: dict[str, object] = {}

    def format(self, source: str) -> Reader:
        """Of which format: `csv`, `json`, `parquet` or `kafka`."""
        if source.lower() not in _FORMATS:
            raise UnsupportedError(
                f"format({source!r}) is not supported",
                wanted=", ".join(_FORMATS),
                nearest=nearest(source, _FORMATS),
                hint="read it in SQL: spark.sql(…)",
            )
        self._format = source.lower()
        return self

    def schema(self, schema: Any) -> Reader:
        """The columns, as in `"id INT, at TIMESTAMP"` or as a `StructType`."""
        if isinstance(schema, str):
            self._schema = schema
        else:
            fields = getattr(schema, "fields", ())
            self._schema = ", ".join(
                f"{quoted(f.name)} {f.dataType.simpleString()}"
                + ("" if f.nullable else " NOT NULL")
                for f in fields
            )
        if not self._schema:
            raise OptionError("schema names no columns", wanted='"id INT, at TIMESTAMP"')
        return self

    def option(self, key: str, value: object) -> Reader:
        """An option of the format."""
        self._options[key] = value
        return self

    def options(self, **options: object) -> Reader:
        """Several options."""
        self._options.update(options)
        return self

    def table(self, tableName: str) -> Frame:  # noqa: N803 - Spark's name
        """The rows of a dataset; of a stream, those that are new."""
        try:
            found = parse_one(tableName, dialect="spark", into=exp.Table)
        except SqlglotError as error:
            raise OptionError(f"{tableName!r} is no name of a table") from error
        options = ""
        if self._options:
            given = (f"{quoted(k)} = {_value(v)}" for k, v in self._options.items())
            options = f" WITH ({', '.join(given)})"
        return self._frame(f"{written(found)}{options}", found.name)

    def load(self, path: Any = None, format: str | None = None, schema: Any = None,
             **options: object) -> Frame:  # fmt: skip
        """What the format and the options say."""
        if format is not None:
            self.format(format)
        if schema is not None:
            self.schema(schema)
        self._options.update(options)
        if self._format == "kafka":
            return self._frame(_call("read_kafka", [], self._options), "kafka")
        return self._files(path)

    def csv(self, path: Any, schema: Any = None, **options: object) -> Frame:
        """CSV files."""
        return self.load(path, "csv", schema, **options)

    def json(self, path: Any, schema: Any = None, **options: object) -> Frame:
        """JSON files."""
        return self.load(path, "json", schema, **options)

    def parquet(self, path: Any, **options: object) -> Frame:
        """Parquet files."""
        return self.load(path, "parquet", **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        here = "readStream" if self._streaming else "read"
        known = ("table", "format", "schema", "option", "options", "load", *_FILES)
        raise UnsupportedError(
            f"spark.{here}.{name} is not supported",
            wanted=", ".join(known),
            nearest=nearest(name, known),
            hint="read it in SQL: spark.sql(…)",
        )

    def _files(self, path: Any) -> Frame:
        if not isinstance(path, str):
            raise OptionError("load needs the path of files", wanted='.load("data/*.csv")')
        options = {k: v for k, v in self._options.items() if k.lower() != "inferschema"}
        kept = len(options) == len(self._options)
        kind = self._format or ("" if "." not in path else path.rpartition(".")[2].lower())
        if kind not in _FILES:
            raise OptionError(f"of which format is {path!r}?", wanted='.format("csv")')
        if kind == "csv":
            if not self._schema and kept:
                raise OptionError(
                    "CSV without a schema has text in all columns in Spark",
                    wanted='.schema("id INT, at TIMESTAMP"), or .option("inferSchema", True)',
                )
            if not any(k.lower() == "header" for k in options):
                options["header"] = False  # as Spark
        options = {"format": kind, **options}
        if self._schema:
            options["schema"] = self._schema
        return self._frame(_call("read_files", [path], options), "files")

    def _frame(self, head: str, alias: str) -> Frame:
        stream = "STREAM " if self._streaming else ""
        return Frame(Selected(f"{stream}{head}", alias, streaming=self._streaming))


def _call(function: str, given: list[str], options: Mapping[str, object]) -> str:
    parts = [_value(v) for v in given]
    parts += [f"{quoted(k)} => {_value(v)}" for k, v in options.items()]
    return f"{function}({', '.join(parts)})"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return written(exp.Literal.string(str(value)))
