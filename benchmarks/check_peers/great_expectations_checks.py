"""The twenty checks by Great Expectations on pandas: `... FOLDER ORDERS`, prints violations."""

import json
import sys

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

folder, orders = sys.argv[1:]
frame = pd.read_parquet(f"{folder}/lineitem.parquet")
for column in ("l_shipdate", "l_commitdate", "l_receiptdate"):
    frame[column] = frame[column].astype("datetime64[us]")
# A set of 1.5 M values is copied for each metric, which takes longer than all else.
known = pd.read_parquet(orders, columns=["o_orderkey"])["o_orderkey"]
frame["is_ordered"] = frame["l_orderkey"].isin(known)

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("lineitem")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
checks = {
    "has_order": gxe.ExpectColumnValuesToNotBeNull(column="l_orderkey"),
    "has_part": gxe.ExpectColumnValuesToNotBeNull(column="l_partkey"),
    "has_price": gxe.ExpectColumnValuesToNotBeNull(column="l_extendedprice"),
    "has_status": gxe.ExpectColumnValuesToNotBeNull(column="l_linestatus"),
    "has_date": gxe.ExpectColumnValuesToNotBeNull(column="l_commitdate"),
    "few": gxe.ExpectColumnValuesToBeBetween(column="l_quantity", min_value=1, max_value=50),
    "discounted": gxe.ExpectColumnValuesToBeBetween(
        column="l_discount", min_value=0, max_value=0.1
    ),
    "taxed": gxe.ExpectColumnValuesToBeBetween(column="l_tax", min_value=0, max_value=0.08),
    "line": gxe.ExpectColumnValuesToBeBetween(column="l_linenumber", min_value=1, max_value=7),
    "flag": gxe.ExpectColumnValuesToBeInSet(column="l_returnflag", value_set=["A", "N", "R"]),
    "status": gxe.ExpectColumnValuesToBeInSet(column="l_linestatus", value_set=["O", "F"]),
    "mode": gxe.ExpectColumnValuesToBeInSet(
        column="l_shipmode",
        value_set=["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"],
    ),
    "words": gxe.ExpectColumnValuesToMatchRegex(column="l_comment", regex="^[a-z ,.;:!?-]+$"),
    "capitals": gxe.ExpectColumnValuesToMatchRegex(column="l_shipinstruct", regex="^[A-Z ]+$"),
    "received_later": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="l_receiptdate",
        column_B="l_shipdate",
        or_equal=False,
        ignore_row_if="either_value_is_missing",
    ),
    "plausible_date": gxe.ExpectColumnValuesToBeBetween(
        column="l_shipdate", min_value=pd.Timestamp("1992-01-01")
    ),
    "once": gxe.ExpectCompoundColumnsToBeUnique(column_list=["l_orderkey", "l_linenumber"]),
    "ordered": gxe.ExpectColumnValuesToBeInSet(column="is_ordered", value_set=[True]),
    "rows": gxe.ExpectTableRowCountToBeBetween(min_value=1000, max_value=10_000_000),
    "mean": gxe.ExpectColumnMeanToBeBetween(column="l_quantity", min_value=20, max_value=30),
}
for name, check in checks.items():
    check.meta = {"name": name}
suite = gx.ExpectationSuite("lineitem", expectations=list(checks.values()))
found = {}
for result in batch.validate(suite, result_format="BASIC").results:
    count = result.result.get("unexpected_count", int(not result.success))
    found[result.expectation_config.meta["name"]] = count
# Both rows of a pair count.
found["once"] //= 2
print(json.dumps(found))
