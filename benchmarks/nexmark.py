"""Nexmark's queries from Kafka into a table, per CPU second, beside those who discard the output.

Qanat writes a Delta table, with a ledger, syncs and exactly once; Bytewax, Pathway, Quix Streams,
Flink SQL and Spark are set up as their documentation says, exactly once where they can, and throw
away what comes out. Each reads a topic of a million bids and one of a thousand, in a fresh process
with an environment of its own: the difference is what 999,000 events cost, without any start.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from figure import Against, Figure
from lineitem import WrongRowsError
from measure import BASELINES, Cost, baseline, medians, spend
from place import PYTHON, QANAT, NotHereError, environment, flink, kafka_spark, scratch

EVENTS, FEW = 1_000_000, 1000
_HERE = Path(__file__).parent
_SELECTED = {
    "q0": "auction, bidder, price, channel, url, date_time, extra FROM {bids}",
    "q1": "auction, bidder, 0.908 * price AS price, date_time FROM {bids}",
    "q2": "auction, price FROM {bids} WHERE auction % 123 = 0",
}
_COLUMNS = {
    "q0": "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,"
    " date_time TIMESTAMP(3), extra STRING",
    "q1": "auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), date_time TIMESTAMP(3)",
    "q2": "auction BIGINT, price BIGINT",
}
_OURS = """\
CREATE OR REFRESH STREAMING TABLE out AS SELECT {selected};
"""
_READ = """STREAM read_kafka(
  bootstrapServers => '{address}', subscribe => '{topic}', format => 'json',
  schema => 'auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
             date_time TIMESTAMP_NTZ, extra STRING')"""
_COUNT = "import sys; from deltalake import DeltaTable; print(DeltaTable(sys.argv[1]).count())"
_FLINK = """\
SET 'table.dml-sync' = 'true';
CREATE TABLE bids ({bids}) WITH ('connector' = 'kafka', 'topic' = '{topic}',
  'properties.bootstrap.servers' = '{address}', 'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset', 'format' = 'json',
  'json.timestamp-format.standard' = 'SQL');
CREATE TABLE rows_out ({columns}) WITH ('connector' = 'blackhole');
INSERT INTO rows_out SELECT {selected};
"""
Reading = Callable[[Path, str, str, str], Cost]
"""Reads a topic: folder to work in, address, topic, query. Its output ends with the number of
rows, where they are counted."""


@contextmanager
def broker() -> Iterator[str]:
    """The address of a broker with the events."""
    command: list[str | Path] = [PYTHON, _HERE / "nexmark_broker.py", str(EVENTS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise ValueError("the broker has no pipes")
        yield server.stdout.readline().strip()
        server.stdin.close()


def ours(folder: Path, address: str, topic: str, query: str) -> Cost:
    """The cost of one update of a new project."""
    project = folder / f"{topic}-{query}"
    shutil.rmtree(project, ignore_errors=True)
    (project / "transformations").mkdir(parents=True)
    (project / "qanat.yml").write_text("name: nexmark\n", encoding="utf-8")
    bids = _READ.format(address=address, topic=topic)
    sql = _OURS.format(selected=_SELECTED[query].format(bids=bids))
    (project / "transformations" / "out.sql").write_text(sql, encoding="utf-8")
    cost = spend([*QANAT, "run"], project)
    table = project / "storage" / "tables" / "out"
    return replace(cost, output=spend([PYTHON, "-c", _COUNT, table], project).output)


def by_script(name: str, *wanted: str, counted: bool = False) -> Reading:
    """What runs a peer's script in an environment of its own."""
    programs = environment(f"nexmark-{name}", *wanted)

    def run(folder: Path, address: str, topic: str, query: str) -> Cost:
        events = (str(EVENTS if topic == "bids" else FEW),) if counted else ()
        script = _HERE / "nexmark_peers" / f"{name}_bids.py"
        return spend([programs / "python", script, address, topic, query, *events], folder)

    return run


def by_spark() -> Reading:
    """What runs Spark's script; its CPU is that of its JVM."""
    python, variables, jars = kafka_spark()

    def run(folder: Path, address: str, topic: str, query: str) -> Cost:
        script = _HERE / "nexmark_peers" / "spark_bids.py"
        command: list[str | Path] = [python, script, address, topic, query, *jars]
        cost = spend(command, folder, env=variables)
        _, cpu, peak = cost.output.split()[-3:]
        return replace(cost, cpu=float(cpu), peak=float(peak), output="")

    return run


def by_flink() -> Reading:
    """What runs a file of Flink SQL."""
    command, variables = flink()

    def run(folder: Path, address: str, topic: str, query: str) -> Cost:
        text = _FLINK.format(
            bids=_COLUMNS["q0"],
            columns=_COLUMNS[query],
            topic=topic,
            address=address,
            selected=_SELECTED[query].format(bids="bids"),
        )
        (folder / "nexmark.sql").write_text(text, encoding="utf-8")
        cost = spend([*command, folder / "nexmark.sql"], folder, env=variables)
        if "[ERROR]" in cost.output:
            raise ValueError(cost.output[-2000:])
        return replace(cost, output="")

    return run


def peers() -> Mapping[str, Reading]:
    """Those that can be had on this machine."""
    makers: Mapping[str, Callable[[], Reading]] = {
        "Bytewax": partial(by_script, "bytewax", "bytewax", "confluent-kafka", "orjson"),
        "Pathway": partial(by_script, "pathway", "pathway"),
        "Quix": partial(by_script, "quix", "quixstreams", counted=True),
        "Flink": by_flink,
        "Spark": by_spark,
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except (NotHereError, subprocess.CalledProcessError) as error:
            print(f"nexmark without {name}: {error}", file=sys.stderr)
    return found


def measure() -> list[Figure]:
    """CPU of 999,000 events at most half of each peer's; medians of 3."""
    runners = {"Qanat": ours, **(peers() if BASELINES else {})}
    figures = []
    with scratch("nexmark") as folder, broker() as address:
        for query in _SELECTED:
            spent = _spent(runners, folder, address, query)
            what = f"nexmark: {query}, CPU of {EVENTS - FEW:,} events"
            for name, cpu in spent.items():
                rate = f"{(EVENTS - FEW) / cpu:,.0f} events per CPU second"
                print(f"nexmark: {query}, {name}: {rate}", file=sys.stderr)
                if name != "Qanat" or not BASELINES:
                    figures.append(
                        Figure(what, spent["Qanat"], name, cpu, "s", Against.RATIO, 0.5)
                    )
    return figures


def _spent(
    runners: Mapping[str, Reading], folder: Path, address: str, query: str
) -> dict[str, float]:
    """Seconds of CPU for all events but the few, by who reads them."""
    few, all_of_them = (
        medians(
            3,
            *(
                partial(_once, run, folder, address, topic, query)
                if name == "Qanat"
                else baseline(partial(_once, run, folder, address, topic, query))
                for name, run in runners.items()
            ),
            warm=False,
        )
        for topic in ("few", "bids")
    )
    rows = all_of_them[0].output
    for name, cost in zip(runners, all_of_them, strict=True):
        _check(name, query, cost.output, rows)
    costs = zip(runners, few, all_of_them, strict=True)
    return {name: whole.cpu - start.cpu for name, start, whole in costs}


def _once(run: Reading, folder: Path, address: str, topic: str, query: str, _: int) -> Cost:
    return run(folder, address, topic, query)


def _check(name: str, query: str, output: str, ours: str) -> None:
    """Refuse a comparison with who gives other rows; Flink, Spark and null sinks count none.

    Raises:
        WrongRowsError: they do.
    """
    said = output.split()[-1:]
    if said not in ([], ["0"], ours.split()):
        raise WrongRowsError(f"{name} has {said[0]} rows of {query}, Qanat {ours.strip()}")
