"""The twenty checks by Pandera on Polars: `... FOLDER ORDERS`, prints violations."""

import json
import sys

import pandera.polars as pa
import polars as pl

folder, orders = sys.argv[1:]
frame = pl.read_parquet(f"{folder}/lineitem.parquet")
known = pl.read_parquet(orders, columns=["o_orderkey"])["o_orderkey"].implode()
MODES = ["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]


def received_later(data):
    return data.lazyframe.select(pl.col("l_receiptdate") > pl.col("l_shipdate"))


def ordered(data):
    return data.lazyframe.select(pl.col(data.key).is_in(known))


def rows(data):
    return data.lazyframe.select(pl.len().is_between(1000, 10_000_000))


def mean(data):
    return data.lazyframe.select(pl.col("l_quantity").mean().is_between(20, 30))


schema = pa.DataFrameSchema(
    {
        "l_orderkey": pa.Column(checks=[pa.Check(ordered)]),
        "l_partkey": pa.Column(),
        "l_extendedprice": pa.Column(),
        "l_commitdate": pa.Column(),
        "l_quantity": pa.Column(checks=pa.Check.in_range(1, 50)),
        "l_discount": pa.Column(checks=pa.Check.in_range(0, 0.1)),
        "l_tax": pa.Column(checks=pa.Check.in_range(0, 0.08)),
        "l_linenumber": pa.Column(checks=pa.Check.in_range(1, 7)),
        "l_returnflag": pa.Column(checks=pa.Check.isin(["A", "N", "R"])),
        "l_linestatus": pa.Column(checks=pa.Check.isin(["O", "F"])),
        "l_shipmode": pa.Column(checks=pa.Check.isin(MODES)),
        "l_comment": pa.Column(checks=pa.Check.str_matches("^[a-z ,.;:!?-]+$")),
        "l_shipinstruct": pa.Column(checks=pa.Check.str_matches("^[A-Z ]+$")),
        "l_shipdate": pa.Column(checks=pa.Check.ge(pl.date(1992, 1, 1))),
    },
    checks=[pa.Check(received_later), pa.Check(rows), pa.Check(mean)],
    unique=["l_orderkey", "l_linenumber"],
)
NAMES = {
    ("l_extendedprice", "not_nullable"): "has_price",
    ("l_linestatus", "not_nullable"): "has_status",
    ("l_commitdate", "not_nullable"): "has_date",
    ("l_quantity", "in_range"): "few",
    ("l_discount", "in_range"): "discounted",
    ("l_tax", "in_range"): "taxed",
    ("l_linenumber", "in_range"): "line",
    ("l_returnflag", "isin"): "flag",
    ("l_linestatus", "isin"): "status",
    ("l_shipmode", "isin"): "mode",
    ("l_comment", "str_matches"): "words",
    ("l_shipinstruct", "str_matches"): "capitals",
    ("l_shipdate", "greater_than_or_equal_to"): "plausible_date",
    ("l_orderkey", "ordered"): "ordered",
    ("None", "received_later"): "received_later",
    ("None", "rows"): "rows",
    ("None", "mean"): "mean",
    ("None", "multiple_fields_uniqueness"): "once",
}
found = dict.fromkeys((*NAMES.values(), "has_order", "has_part"), 0)
try:
    schema.validate(frame, lazy=True)
except pa.errors.SchemaErrors as error:
    told = error.failure_cases.group_by("column", "check").len()
    for column, check, count in told.iter_rows():
        found[NAMES[str(column), check.partition("(")[0]]] += count
# Both rows of a pair count.
found["once"] //= 2
print(json.dumps(found))
