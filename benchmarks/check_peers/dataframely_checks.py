"""The twenty checks by dataframely on Polars: `... FOLDER ORDERS`, prints violations."""

import json
import sys

import dataframely as dy
import polars as pl

MODES = ["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]


class Lineitem(dy.Schema):
    """The columns, with what holds of each."""

    l_orderkey = dy.Int64(primary_key=True)
    l_partkey = dy.Int64(nullable=False)
    l_suppkey = dy.Int64(nullable=True)
    l_linenumber = dy.Int32(primary_key=True, min=1, max=7)
    l_returnflag = dy.String(nullable=True, check=lambda c: c.is_in(["A", "N", "R"]))
    l_linestatus = dy.String(nullable=False, check=lambda c: c.is_in(["O", "F"]))
    l_quantity = dy.Float64(nullable=True, min=1, max=50)
    l_extendedprice = dy.Float64(nullable=False)
    l_discount = dy.Float64(nullable=True, min=0, max=0.1)
    l_tax = dy.Float64(nullable=True, min=0, max=0.08)
    l_shipdate = dy.Date(nullable=True, check=lambda c: c >= pl.date(1992, 1, 1))
    l_commitdate = dy.Date(nullable=False)
    l_receiptdate = dy.Date(nullable=True)
    l_shipinstruct = dy.String(nullable=True, regex="^[A-Z ]+$")
    l_shipmode = dy.String(nullable=True, check=lambda c: c.is_in(MODES))
    l_comment = dy.String(nullable=True, regex="^[a-z ,.;:!?-]+$")

    @dy.rule()
    def received_later(cls) -> pl.Expr:  # noqa: N805
        """Dates in their order."""
        return pl.col("l_receiptdate") > pl.col("l_shipdate")


NAMES = {
    "l_orderkey|nullability": "has_order",
    "l_partkey|nullability": "has_part",
    "l_extendedprice|nullability": "has_price",
    "l_linestatus|nullability": "has_status",
    "l_commitdate|nullability": "has_date",
    "l_quantity|min": "few",
    "l_quantity|max": "few",
    "l_discount|min": "discounted",
    "l_discount|max": "discounted",
    "l_tax|min": "taxed",
    "l_tax|max": "taxed",
    "l_linenumber|min": "line",
    "l_linenumber|max": "line",
    "l_returnflag|check": "flag",
    "l_linestatus|check": "status",
    "l_shipmode|check": "mode",
    "l_comment|regex": "words",
    "l_shipinstruct|regex": "capitals",
    "l_shipdate|check": "plausible_date",
    "received_later": "received_later",
    "primary_key": "once",
    "l_linenumber|nullability": "line",
}
folder, orders = sys.argv[1:]
frame = pl.read_parquet(f"{folder}/lineitem.parquet")
known = pl.read_parquet(orders, columns=["o_orderkey"])
found = dict.fromkeys(NAMES.values(), 0)
for rule, count in Lineitem.filter(frame).failure.counts().items():
    found[NAMES[rule]] += count
# Both rows of a pair count.
found["once"] //= 2
# What is about other tables, or all rows together, is no rule of a schema.
found["ordered"] = frame.join(
    known, left_on="l_orderkey", right_on="o_orderkey", how="anti"
).height
found["rows"] = int(not 1000 <= frame.height <= 10_000_000)
found["mean"] = int(not 20 <= frame["l_quantity"].mean() <= 30)
print(json.dumps(found))
