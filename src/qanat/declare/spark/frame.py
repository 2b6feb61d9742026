"""Frames, and the methods of Spark's data frames that they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from qanat.declare.spark.joined import joined
from qanat.declare.spark.selected import Selected
from qanat.declare.spark.standin import column_class
from qanat.declare.spark.terms import column, condition, listed, quoted, unaliased, written
from qanat.errors import UnsupportedError, nearest
from qanat.model.name import fold

_AS_SQL = "write it as SQL text, with spark.sql(…)"
_RETURN = "return the frame: the decorator says where its rows go"
_LEAVE = "leave it out"
_FRAMES = "a function with parameters takes and returns data frames with rows"
_ROWS = ("collect", "count", "dtypes", "first", "foreach", "head", "isEmpty", "schema", "show",
         "columns", "tail", "take", "toArrow", "toPandas", "printSchema", "rdd")  # fmt: skip
_WAYS_OUT = {
    "unionByName": "put the columns into one order with .select(…), then .union(…)",
    "withColumnRenamed": '.select(F.col("old").alias("new"), …)',
    "withColumnsRenamed": '.select(F.col("old").alias("new"), …)',
    "withColumns": "one .withColumn(…) for each",
    "toDF": '.select(F.col("old").alias("new"), …)',
    "fillna": "F.coalesce(…) in .withColumn(…)",
    "na": "F.coalesce(…) in .withColumn(…), or .where(…)",
    "dropna": '.where("x IS NOT NULL")',
    "createOrReplaceTempView": "declare it with @dp.temporary_view",
    "createTempView": "declare it with @dp.temporary_view",
    **dict.fromkeys(("crossJoin", "cube", "rollup", "pivot", "unpivot", "sample", "intersect",
                     "exceptAll", "subtract", "hint", "lateralJoin"), _AS_SQL),
    **dict.fromkeys(("write", "writeTo", "writeStream"), _RETURN),
    **dict.fromkeys(("cache", "persist", "repartition", "coalesce", "checkpoint"), _LEAVE),
    **dict.fromkeys(("mapInPandas", "mapInArrow", "transformWithStateInPandas"), _FRAMES),
    **dict.fromkeys(_ROWS, _FRAMES),
}  # fmt: skip


class Frame:
    """A query that a file builds by Spark's methods. Each of them gives a new frame.

    It knows no columns: whether these exist is found out when the SQL is checked, as for SQL text.

    >>> from qanat.declare.spark.session import Session
    >>> events = Session().read.table("events")
    >>> events.where("x > 1").groupBy("k").count().query()
    'SELECT `k`, COUNT(*) AS `count` FROM `events` AS `events` WHERE `x` > 1 GROUP BY `k`'
    """

    def __init__(self, selected: Selected) -> None:
        self._selected = selected

    @staticmethod
    def _of(other: Any, step: str) -> Selected:
        if isinstance(other, Frame):
            return other._selected  # noqa: SLF001 - it is this class's own
        raise UnsupportedError(f"{step} with a {type(other).__name__}", wanted="a frame")

    def query(self) -> str:
        """The frame as SQL, in Spark's dialect."""
        return self._selected.query()

    def where(self, condition_: Any) -> Frame:
        """The rows for which a condition, SQL text or a column, is true."""
        of = self._selected.opened()
        return Frame(replace(of, where=(*of.where, of.resolved(condition(condition_, "where")))))

    filter = where

    def select(self, *cols: Any) -> Frame:
        """Some columns: names, `*`, or columns such as `F.upper("name").alias("name")`."""
        terms = [column(c, "select") for c in listed(cols)]
        return Frame(self._selected.opened().selected(terms))

    def selectExpr(self, *expr: Any) -> Frame:  # noqa: N802 - Spark's name, as those below
        """Some columns as SQL text, such as `amount * 2 AS twice`."""
        terms = [condition(t, "selectExpr", alias=True) for t in listed(expr)]
        return Frame(self._selected.opened().selected(terms))

    def withColumn(self, colName: str, col: Any) -> Frame:  # noqa: N802, N803
        """With a column added, or replaced by a value that is made of it."""
        of = self._selected.opened()
        term = unaliased(column(col, "withColumn"))
        itself = any(fold(c.name) == fold(colName) for c in term.find_all(exp.Column))
        return Frame(of.listing(of.items.with_column(colName, of.resolved(term), itself)))

    def drop(self, *cols: Any) -> Frame:
        """Without some columns."""
        of = self._selected.opened()
        return Frame(of.listing(of.items.without([column(c, "drop").name for c in listed(cols)])))

    def alias(self, alias: str) -> Frame:
        """With a name that qualifies columns, as in `F.col("a.id")`."""
        return Frame(self._selected.aliased(alias))

    def withWatermark(self, eventTime: str, delayThreshold: str) -> Frame:  # noqa: N802, N803
        """How late rows of a stream may come: `.withWatermark("at", "2 minutes")`."""
        of = self._selected
        if not of.untouched:
            raise UnsupportedError(
                "withWatermark stands behind other steps",
                wanted='spark.readStream.table("events").withWatermark("at", "2 minutes")',
                hint="put the steps before it into a @dp.temporary_view, and read that",
            )
        if not of.streaming:  # as Spark: it means nothing there
            return self
        delay = written(exp.Literal.string(delayThreshold))
        mark = f"WATERMARK {quoted(eventTime)} DELAY OF INTERVAL {delay}"
        return Frame(replace(of, mark=mark, times=(eventTime,)))

    def groupBy(self, *cols: Any) -> Grouped:  # noqa: N802
        """Groups of rows, for `agg`, `count`, `sum`, `avg`, `min` and `max`."""
        keys = [column(c, "groupBy") for c in listed(cols)]
        return Grouped(self._selected.opened(), keys)

    groupby = groupBy

    def agg(self, *exprs: Any) -> Frame:
        """Aggregates over all rows."""
        return self.groupBy().agg(*exprs)

    def distinct(self) -> Frame:
        """Of equal rows one."""
        return Frame(self._selected.opened().first_of([]))

    def dropDuplicates(self, *subset: Any) -> Frame:  # noqa: N802
        """Of rows with equal values in some columns one; in a stream the first."""
        names = listed(subset)
        folded = {fold(str(n)) for n in names}
        late = [t for t in self._selected.times if fold(t) not in folded]
        if names and names != [None] and late:
            raise UnsupportedError(
                f"dropDuplicates keeps all keys for ever, as {late[0]!r} is none of them:"
                " the watermark means nothing",
                hint="dropDuplicatesWithinWatermark(…), or leave out withWatermark",
            )
        return self._first(names, "dropDuplicates")

    drop_duplicates = dropDuplicates

    def dropDuplicatesWithinWatermark(self, *subset: Any) -> Frame:  # noqa: N802
        """The same, for rows that come within the delay of a watermark."""
        if not self._selected.times:
            raise UnsupportedError(
                "dropDuplicatesWithinWatermark without a watermark",
                wanted='spark.readStream.table("events").withWatermark("at", "2 minutes")',
            )
        return self._first(listed(subset), "dropDuplicatesWithinWatermark")

    def _first(self, names: list[Any], what: str) -> Frame:
        keys = [column(n, what) for n in names if n is not None]
        return Frame(self._selected.opened().first_of(keys))

    def join(self, other: Any, on: Any = None, how: str = "inner") -> Frame:
        """With the rows of another frame, by names of columns or by a condition."""
        if on is None:
            raise UnsupportedError("join without a condition", hint=_AS_SQL)
        return Frame(joined(self._selected, self._of(other, "join"), on, how))

    def union(self, other: Any) -> Frame:
        """The rows of both, by the order of their columns."""
        return Frame(self._selected.with_rows_of(self._of(other, "union")))

    unionAll = union  # noqa: N815

    def orderBy(self, *cols: Any) -> Frame:  # noqa: N802
        """In an order, which counts for `limit`."""
        keys = [column(c, "orderBy") for c in listed(cols)]
        return Frame(self._selected.opened().ordered(keys))

    sort = orderBy

    def limit(self, num: int) -> Frame:
        """The first rows."""
        return Frame(self._selected.limited(int(num)))

    def transform(self, func: Callable[..., Frame], *args: Any, **kwargs: Any) -> Frame:
        """What a function makes of the frame."""
        return func(self, *args, **kwargs)

    def __getitem__(self, name: str) -> Any:
        """A column, with which sqlframe computes."""
        return column_class()(exp.column(name, table=self._selected.alias or None, quoted=True))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _WAYS_OUT:
            raise UnsupportedError(
                f"a frame of a project has no {name}: it becomes SQL", hint=_WAYS_OUT[name]
            )
        # A column, unless the author meant a method.
        kind = type("Column", (column_class(),), {"__call__": _no_method(name)})
        return kind(exp.column(name, table=self._selected.alias or None, quoted=True))


def _no_method(name: str) -> Callable[..., Any]:
    def called(*_: Any, **__: Any) -> Any:
        known = [n for n in dir(Frame) if not n.startswith("_")]
        raise UnsupportedError(
            f"a frame of a project has no {name}", nearest=nearest(name, known), hint=_AS_SQL
        )

    return called


class Grouped:
    """Groups of a frame's rows."""

    def __init__(self, of: Selected, keys: list[exp.Expr]) -> None:
        self._of = of
        self._keys = keys

    def agg(self, *exprs: Any) -> Frame:
        """Aggregates, as columns or as `{"amount": "sum"}`."""
        given = listed(exprs)
        if len(given) == 1 and isinstance(given[0], dict):
            return self._frame([_called(name, c) for c, name in given[0].items()])
        return self._frame([column(c, "agg") for c in given])

    def count(self) -> Frame:
        """The number of rows of each group, as `count`."""
        return self._frame([exp.alias_(exp.Count(this=exp.Star()), "count", quoted=True)])

    def sum(self, *cols: str) -> Frame:
        """The sums of columns."""
        return self._frame([_called("sum", c) for c in listed(cols)])

    def avg(self, *cols: str) -> Frame:
        """The means of columns."""
        return self._frame([_called("avg", c) for c in listed(cols)])

    mean = avg

    def min(self, *cols: str) -> Frame:
        """The least values of columns."""
        return self._frame([_called("min", c) for c in listed(cols)])

    def max(self, *cols: str) -> Frame:
        """The greatest values of columns."""
        return self._frame([_called("max", c) for c in listed(cols)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(f"groups of a frame have no {name}", wanted=".agg(…), .count()")

    def _frame(self, values: list[exp.Expr]) -> Frame:
        return Frame(self._of.grouped(self._keys, values))


def _called(function: str, name: str) -> exp.Expr:
    value = exp.func(function, column(name, function))
    return exp.alias_(value, f"{function}({name})", quoted=True)
