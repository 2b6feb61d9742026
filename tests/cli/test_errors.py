"""What each mistake and each accident looks like at the command line."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SPEC = "name: shop\n"
ORDERS = "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');\n"
DATA = "id,amount\n1,10\n2,20\n"


@pytest.fixture
def shop(transcript: Any) -> Any:
    """A terminal in a project that reads two orders from a CSV file."""
    transcript.file("qanat.yml", SPEC, shown=False)
    transcript.file("transformations/orders.sql", ORDERS, shown=False)
    transcript.file("data/a.csv", DATA, shown=False)
    return transcript


def test_unknown_column(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW gold AS\nSELECT sum(amuont) AS total\nFROM orders;\n",
    )
    assert shop.type("qanat validate") == 2
    assert shop.type("qanat run") == 2


def test_unknown_dataset(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW gold AS\nSELECT * FROM ordrs;\n",
    )
    assert shop.type("qanat validate") == 2
    assert shop.type("qanat validate --output json") == 2


def test_cycle(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM b;\n"
        "CREATE MATERIALIZED VIEW b AS SELECT * FROM c;\n"
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM a;\n",
    )
    assert shop.type("qanat validate") == 2


def test_two_datasets_with_one_name(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW Orders AS SELECT 1 AS one;\n",
    )
    assert shop.type("qanat validate") == 2


def test_keyword_typo(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE OR REFRESH STREAMNG TABLE gold AS SELECT * FROM STREAM orders;\n",
    )
    assert shop.type("qanat validate") == 2


def test_spec_key_typo(shop: Any) -> None:
    shop.file("qanat.yml", "name: shop\nstorrage: tables\nretries: many\n")
    assert shop.type("qanat validate") == 2


def test_function_typo(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW gold AS\nSELECT avgg(amount) AS mean FROM orders;\n",
    )
    assert shop.type("qanat validate") == 2


def test_all_problems_at_once(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM ordrs;\n"
        "CREATE MATERIALIZED VIEW b AS SELECT nothing FROM orders;\n"
        "CREATE VEIW c AS SELECT 1 AS one;\n",
    )
    assert shop.type("qanat validate") == 2


def test_no_project(transcript: Any) -> None:
    assert transcript.type("qanat run") == 2
    assert transcript.type("qanat run -C nowhere") == 2


def test_missing_file(shop: Any) -> None:
    shop.file(
        "transformations/orders.sql",
        "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('dta/*.csv');\n",
    )
    assert shop.type("qanat run") == 1


def test_unreadable_file(shop: Any) -> None:
    shop.file(
        "transformations/orders.sql",
        "CREATE STREAMING TABLE orders AS\n"
        "SELECT * FROM STREAM read_files('data/*.parquet', format => 'parquet');\n",
    )
    shop.file("data/a.parquet", "this is no Parquet file\n")
    assert shop.type("qanat run") == 1


def test_changed_file(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    shop.file("data/a.csv", "id,amount\n1,999\n2,20\n")
    assert shop.type("qanat run") == 1


def test_failed_expectation(shop: Any) -> None:
    shop.file(
        "transformations/orders.sql",
        "CREATE STREAMING TABLE orders (\n"
        "  CONSTRAINT small EXPECT (amount < 15) ON VIOLATION FAIL UPDATE\n"
        ") AS SELECT * FROM STREAM read_files('data/*.csv');\n"
        "CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS amount FROM orders;\n",
    )
    assert shop.type("qanat run") == 1


def test_full_disk(shop: Any) -> None:
    """A limit on the size of files stands for a disk without space."""
    rows = "\n".join(f"{n},{n * 7919 % 1_000_003}" for n in range(200_000))
    shop.file("data/a.csv", f"id,amount\n{rows}\n", shown=False)
    assert shop.type("qanat plan") == 0
    shop.text = ""
    kilobytes = 384  # the ledger needs 300

    def limited(line: str) -> int:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
        try:
            process = shop.start(line, fresh=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        output, _ = process.communicate(timeout=120)
        return int(shop.put(line, output, process.returncode))

    assert limited("qanat run") == 1
    assert not list((shop.folder / "storage/tables").rglob("*.parquet"))
    assert shop.type("qanat run") == 0


def test_table_written_by_a_newer_version(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    log = shop.folder / "storage/tables/orders/_delta_log"
    newest = max(log.glob("*.json"))
    protocol = {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["timeTravelToTheFuture"],
            "writerFeatures": ["timeTravelToTheFuture"],
        }
    }
    version = int(newest.stem) + 1
    (log / f"{version:020}.json").write_text(json.dumps(protocol) + "\n")
    shop.file("data/b.csv", "id,amount\n3,30\n", shown=False)
    assert shop.type("qanat show orders") == 1
    assert shop.type("qanat run") == 1


def test_crash_test_command_line(shop: Any) -> None:
    """All of it is said before anything is copied or built."""
    for options in (
        "--cases 5",
        "--crash-test --cases 0",
        "--crash-test --jobs 0",
        "--crash-test --jobs -1",
        "--crash-test --case 'first-run kill@3 #abc'",
        "--crash-test --case 'first-run kill@'",
        "--crash-test --case 'first-run kill@²'",
        "--crash-test --case 'first-run none@3'",
        "--crash-test --case 'first-run kil@3'",
        "--crash-test --case ''",
        "--crash-test --report ''",
        "--crash-test --report nowhere/page.html",
        "--crash-test --report /proc/page.html",
    ):
        assert shop.type(f"qanat doctor {options}") == 2
    page = shop.folder / "page.html"
    assert shop.type("qanat doctor --crash-test --report page.html --case 'run foo'") == 2
    assert not page.exists()
    compiler = {"CC": "/bin/false"}
    assert shop.type("qanat doctor --crash-test", compiler) == 1
    assert not list(shop.folder.glob("storage"))


SLOW = """\
import time
from pathlib import Path

import pyarrow as pa

from qanat import pipelines as dp


@dp.materialized_view
def slow(orders: pa.Table) -> pa.Table:
    Path("started").touch()
    while Path("wait").exists():
        time.sleep(0.02)
    return orders
"""


def test_two_updates_at_once(shop: Any) -> None:
    shop.file("transformations/slow.py", SLOW, shown=False)
    (shop.folder / "wait").touch()
    first: subprocess.Popen[str] = shop.start("qanat run")
    try:
        wait_for(shop.folder / "started", first)
        assert shop.type("qanat run") == 1
        assert shop.type("qanat show orders") == 0
        assert shop.type("qanat run --wait 0.1") == 1
        shop.file("transformations/orders.sql", ORDERS.replace(" orders ", " sales "), shown=False)
        shop.file("transformations/slow.py", SLOW.replace("orders:", "sales:"), shown=False)
        assert shop.type("qanat rename ordrs sales --wait") == 2
        assert shop.type("qanat rename orders sale --wait") == 2
        assert shop.type("qanat rename slow sales --wait") == 2
        assert shop.type("qanat rename orders sales") == 1
        assert shop.type("qanat rename orders sales --wait 0.1") == 1
        assert shop.type("qanat drop orders --yes") == 1
    finally:
        (shop.folder / "wait").unlink()
        output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output


HANGING = """\
import time
from pathlib import Path

import pyarrow as pa

from qanat import pipelines as dp


@dp.materialized_view
def slow(orders: pa.Table) -> pa.Table:
    if not Path("quick").exists():
        Path("started").touch()
        time.sleep(1000)
    return orders
"""

STREAMING = """\
import time
from pathlib import Path

import pyarrow as pa

from qanat import pipelines as dp


@dp.materialized_view
def slow(orders: pa.Table) -> pa.RecordBatchReader:
    def batches():
        Path("started").touch()
        time.sleep(1000)
        yield from orders.to_batches()

    return pa.RecordBatchReader.from_batches(orders.schema, batches())
"""


def test_interrupted(shop: Any) -> None:
    """A function is not waited for: it may sleep, or compute in a library of C."""
    shop.file("transformations/slow.py", HANGING, shown=False)
    process = shop.start("qanat run", fresh=True)
    try:
        wait_for(shop.folder / "started", process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    shop.put("qanat run", output, process.returncode)
    (shop.folder / "quick").touch()
    assert shop.type("qanat run") == 0


def test_interrupted_twice(terminal: Any) -> None:
    """Batches are made while the engine asks for them; it cannot leave them alone."""
    terminal.file("qanat.yml", SPEC)
    terminal.file("transformations/orders.sql", ORDERS)
    terminal.file("data/a.csv", DATA)
    terminal.file("transformations/slow.py", STREAMING)
    process = terminal.start("qanat run", fresh=True)
    try:
        wait_for(terminal.folder / "started", process)
        process.send_signal(signal.SIGINT)
        said = ""
        while "press Ctrl-C again" not in said:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT


def test_what_functions_print_does_not_get_into_json(terminal: Any) -> None:
    terminal.file("qanat.yml", SPEC)
    terminal.file("transformations/orders.sql", ORDERS)
    terminal.file("data/a.csv", DATA)
    terminal.file(
        "transformations/loud.py",
        "import subprocess\n"
        "import pyarrow as pa\n"
        "from qanat import pipelines as dp\n"
        "@dp.materialized_view\n"
        "def loud(orders: pa.Table) -> pa.Table:\n"
        "    print('printed by a function')\n"
        "    subprocess.run(['echo', 'printed by a process'], check=True)\n"
        "    return orders\n",
    )
    done = subprocess.run(
        [sys.executable, "-m", "qanat", "run", "--output", "json"],
        cwd=terminal.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert "printed by a function" in done.stderr
    assert "printed by a process" in done.stderr


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
