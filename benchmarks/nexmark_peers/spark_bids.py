"""Nexmark's q0, q1, q2 by Spark: `spark_bids.py ADDRESS TOPIC QUERY JAR…`.

Prints how many it read, the seconds of CPU that its JVM took, and its peak memory in bytes.
"""

import sys
import tempfile

import psutil
from pyspark.sql import SparkSession, functions as F

address, topic, query, *jars = sys.argv[1:]
session = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", ",".join(jars))
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
session.sparkContext.setLogLevel("ERROR")
schema = (
    "auction bigint, bidder bigint, price bigint, channel string, url string,"
    " date_time timestamp, extra string"
)
bids = (
    session.readStream.format("kafka")
    .option("kafka.bootstrap.servers", address)
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", 100_000)
    .load()
    .select(F.from_json(F.col("value").cast("string"), schema).alias("bid"))
    .select("bid.*")
)
if query == "q1":
    bids = bids.selectExpr("auction", "bidder", "0.908 * price AS price", "date_time")
if query == "q2":
    bids = bids.where("auction % 123 = 0").select("auction", "price")
with tempfile.TemporaryDirectory() as checkpoint:
    writing = bids.writeStream.format("noop").option("checkpointLocation", checkpoint)
    running = writing.trigger(availableNow=True).start()
    running.awaitTermination()
    read = sum(p["numInputRows"] for p in running.recentProgress)
started = psutil.Process(session.sparkContext._gateway.proc.pid)
processes = [started, *started.children(recursive=True)]
spent = sum(sum(p.cpu_times()[:2]) for p in processes)
print(read, spent, max(p.memory_info().rss for p in processes))
session.stop()
