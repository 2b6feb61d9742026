"""Sinks: rows leave the project as files, each epoch once."""

from __future__ import annotations

import gzip
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import qanat
from qanat.connectors.files.sink import FilesSink
from qanat.errors import HistoryMismatchError, PlanError, QanatError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.work import Output
from qanat.report.update import update_text
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, day DATE, note STRING');\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/january.csv", 'id,day,note\n1,2026-01-31,"a;b"\n2,2026-01-30,\n')
    shop.sql(ORDERS)
    return shop


def sink(shop: Shop, format_: str, options: dict[str, Any], rules: str = "") -> None:
    shop.python(
        f"dp.create_sink('out', {format_!r}, {{'path': 'out', **{options!r}}})\n{rules}"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id, day, note FROM STREAM orders'\n"
    )


def files(shop: Shop) -> list[Path]:
    return sorted((shop.folder / "out").glob("[!.]*"))


CSV = {
    "as is": ({}, "id,day,note\n1,2026-01-31,a;b\n2,2026-01-30,\n"),
    "no header": ({"header": "false"}, "1,2026-01-31,a;b\n2,2026-01-30,\n"),
    "delimiter": ({"delimiter": ";"}, 'id;day;note\n1;2026-01-31;"a;b"\n2;2026-01-30;\n'),
    "Spark's name": ({"sep": "|"}, "id|day|note\n1|2026-01-31|a;b\n2|2026-01-30|\n"),
    "tab": ({"delimiter": "\t"}, "id\tday\tnote\n1\t2026-01-31\ta;b\n2\t2026-01-30\t\n"),
    "NULL": ({"nullValue": "-"}, "id,day,note\n1,2026-01-31,a;b\n2,2026-01-30,-\n"),
    "quote": (
        {"delimiter": ";", "quote": "'"},
        "id;day;note\n1;2026-01-31;'a;b'\n2;2026-01-30;\n",
    ),
    "date": ({"dateFormat": "%d.%m.%Y"}, "id,day,note\n1,31.01.2026,a;b\n2,30.01.2026,\n"),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(shop: Shop, case: str) -> None:
    options, text = CSV[case]
    sink(shop, "csv", options)
    shop.run()
    (file,) = files(shop)
    assert file.read_text() == text


def test_compressed_csv(shop: Shop) -> None:
    sink(shop, "csv", {"compression": "gzip"})
    shop.run()
    (file,) = files(shop)
    assert file.name.endswith(".csv.gz")
    assert gzip.decompress(file.read_bytes()).decode() == CSV["as is"][1]


def test_json(shop: Shop) -> None:
    sink(shop, "json", {"dateFormat": "%Y"})
    shop.run()
    (file,) = files(shop)
    assert file.read_text().splitlines()[0] == '{"id":1,"day":"2026","note":"a;b"}'


@pytest.mark.parametrize(
    ("written", "codec"),
    [({}, "SNAPPY"), ({"compression": "zstd"}, "ZSTD"), ({"compression": "none"}, "UNCOMPRESSED")],
)
def test_parquet(shop: Shop, written: dict[str, str], codec: str) -> None:
    sink(shop, "parquet", written)
    shop.run()
    (file,) = files(shop)
    assert pq.read_table(file).num_rows == 2
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == codec


def test_each_row_leaves_once(shop: Shop) -> None:
    sink(shop, "csv", {"header": "false"})
    shop.run()
    assert shop.run()["out"].status == "unchanged"
    shop.file("data/february.csv", "id,day,note\n3,2026-02-01,c\n")
    shop.run()
    assert [len(f.read_text().splitlines()) for f in files(shop)] == [2, 1]


@pytest.mark.parametrize(
    ("format_", "options", "message", "nearest"),
    [
        ("cvs", {}, "sinks in format 'cvs' are not supported", "csv"),
        ("csv", {"delimeter": ";"}, "no option 'delimeter'", "delimiter"),
        ("csv", {"header": "ja"}, "'header' of a sink of the format 'csv' does not fit", None),
        ("parquet", {"compression": "zst"}, "'compression' of a sink", "zstd"),
        ("pulsar", {}, "sinks in format 'pulsar' are not supported", None),
        ("csv", {"path": "s3://bucket/out"}, "object stores come in a later release", None),
    ],
)
def test_mistakes(
    shop: Shop, format_: str, options: dict[str, str], message: str, nearest: str | None
) -> None:
    """Each mistake is one problem, with its location, and is found without a run."""
    sink(shop, format_, options)
    (problem,) = shop.validation().problems
    assert message in problem.message
    assert problem.nearest == nearest
    assert str(problem.location) == "transformations/all.py:2"
    assert problem.exit_code == 2
    with suppress(QanatError):
        (failed,) = shop.update().failed
        assert str(failed.error) == str(problem)
    assert not (shop.folder / "out").exists() or files(shop) == []


def test_rules_on_a_sink(shop: Shop) -> None:
    """Rows that break a rule are not sent, from whichever flow they come."""
    day = "2026-01-01"
    shop.file("data/january.csv", f"id,day,note\n1,{day},a\n2,{day},\n-3,{day},c\n")
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out', 'header': 'false'},\n"
        "    expect_all={'early': \"day < '2020-01-01'\"},\n"
        "    expect_all_or_drop={'has_note': 'note IS NOT NULL'},\n"
        "    expect_all_or_quarantine={'positive': 'id > 0'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id, day, note FROM STREAM orders'\n"
    )
    result = shop.run()["out"]
    assert {r.rule: r.violations for r in result.rules} == {
        "early": 3,
        "has_note": 1,
        "positive": 1,
    }
    (file,) = files(shop)
    assert file.read_text() == "1,2026-01-01,a\n"
    assert shop.quarantined("out") == [(-3, ["early", "positive"])]


def test_a_rule_that_fails_a_sink(shop: Shop) -> None:
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'}, expect_all_or_fail={'small': 'id < 2'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id FROM STREAM orders'\n"
    )
    assert shop.failures()["out"].message == "1 row of out violates small"
    assert files(shop) == []


def test_a_sink_knows_no_earlier_rows(shop: Shop) -> None:
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'}, expect_all={'one': 'UNIQUE (id)'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id FROM STREAM orders'\n"
    )
    (problem,) = shop.problems()
    assert "sink out does not know what it has sent" in problem


def test_compression_none(shop: Shop) -> None:
    sink(shop, "csv", {"compression": "none"})
    shop.run()
    (file,) = files(shop)
    assert file.read_text() == CSV["as is"][1]


# -- lost or restored sinks and ledgers ----------------------------------------------------------


LEAVE = (
    "dp.create_sink('out', 'csv', {'path': 'out', 'header': 'false'})\n"
    "@dp.append_flow(target='out')\n"
    "def leave():\n"
    "    return \"SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT'%s)"
    ' WHERE id >= %d"\n'
)


def many(tmp_path: Path, epochs: int, empty: int = 0) -> Shop:
    """A project that sent one epoch per file, or whose first epoch had nothing to send."""
    shop = Shop(tmp_path)
    for i in range(epochs):
        shop.file(f"data/{i:02}.csv", f"id\n{i}\n")
    shop.python(LEAVE % (", maxFilesPerTrigger => 1", empty))
    shop.run()
    assert sent(shop) == list(range(empty, epochs))
    return shop


def sent(shop: Shop) -> list[int]:
    return sorted(int(line) for f in files(shop) for line in f.read_text().splitlines())


def lose_ledger(shop: Shop) -> None:
    shutil.rmtree(shop.folder / "storage/_qanat")


@pytest.mark.parametrize("at_once", [False, True])
def test_many_epochs_and_a_lost_ledger(tmp_path: Path, at_once: bool) -> None:
    """A full refresh, the hint of the error, sends everything again under new epoch numbers."""
    shop = many(tmp_path, 40)
    lose_ledger(shop)
    assert isinstance(shop.failures()["out"], HistoryMismatchError)
    if at_once:
        shop.python(LEAVE % ("", 0))
    assert shop.run(full_refresh=("out",))["out"].counts.written == 40
    assert sent(shop) == sorted([*range(40), *range(40)])
    assert shop.run()["out"].status == "unchanged"
    shop.file("data/99.csv", "id\n99\n")
    shop.run()
    assert sent(shop)[-2:] == [39, 99]


def test_a_ledger_from_before_many_epochs_without_rows(tmp_path: Path) -> None:
    shop = many(tmp_path, 40, empty=38)
    lose_ledger(shop)
    error = shop.failures()["out"]
    assert isinstance(error, HistoryMismatchError)
    assert error.got == "epoch 40 in the sink"
    assert sent(shop) == [38, 39]


@pytest.mark.parametrize("removed", ["out", "out/leave-0000000002-0.csv"])
def test_what_was_sent_and_taken_away_is_not_sent_again(tmp_path: Path, removed: str) -> None:
    """Readers may take files away; only a full refresh sends them again."""
    shop = many(tmp_path, 2)
    (shop.folder / removed).rename(tmp_path / "taken away")
    left = sent(shop)
    assert shop.run()["out"].status == "unchanged"
    assert sent(shop) == left
    shop.file("data/02.csv", "id\n2\n")
    shop.run()
    assert sent(shop) == [*left, 2]
    shop.run(full_refresh=("out",))
    assert sent(shop) == sorted([*left, 2, 0, 1, 2])


def guarded(tmp_path: Path) -> Shop:
    """A project that has sent a row and has one in the sink's quarantine."""
    shop = Shop(tmp_path)
    shop.file("data/00.csv", "id\n0\n-1\n")
    shop.python(
        LEAVE.replace("'false'})", "'false'}, expect_all_or_quarantine={'plus': 'id >= 0'})")
        % ("", -9)
    )
    shop.run()
    assert shop.quarantined("out") == [(-1, ["plus"])]
    return shop


def test_an_epoch_that_somebody_else_sent_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger records no epoch that was not sent, then or later, and no other is published."""
    shop = guarded(tmp_path)
    shop.file("data/01.csv", "id\n1\n-2\n")
    foreign = shop.folder / "out/leave-0000000002-0.csv"
    real = FilesSink.output

    def output(*arguments: Any) -> Output:
        foreign.write_text("77\n")
        return real(*arguments)

    monkeypatch.setattr(FilesSink, "output", output)
    error = shop.failures()["out"]
    assert isinstance(error, HistoryMismatchError)
    assert "this project has not sent" in error.message
    monkeypatch.undo()
    assert "older than what the sink holds" in shop.failures()["out"].message
    assert sent(shop) == [0, 77]
    assert shop.quarantined("out") == [(-1, ["plus"])]
    foreign.unlink()
    shop.run()
    assert sent(shop) == [0, 1]
    assert shop.quarantined("out") == [(-1, ["plus"]), (-2, ["plus"])]


def test_an_epoch_that_somebody_else_sent_before_ours_was_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = many(tmp_path, 1)
    shop.file("data/01.csv", "id\n1\n")

    class Died(BaseException):
        pass

    def die(*arguments: Any) -> None:
        raise Died

    monkeypatch.setattr(FilesSink, "output", die)
    monkeypatch.setattr(SqlLedger, "give_up", lambda *arguments: None)
    with pytest.raises(Died):
        shop.update()
    monkeypatch.undo()
    foreign = shop.file("out/leave-0000000002-0.csv", "77\n")
    assert isinstance(shop.failures()["out"], HistoryMismatchError)
    foreign.unlink()
    shop.run()
    assert sent(shop) == [0, 1]


def test_a_lost_ledger_that_only_the_quarantine_of_a_sink_tells(tmp_path: Path) -> None:
    shop = guarded(tmp_path)
    lose_ledger(shop)
    shutil.rmtree(shop.folder / "out")
    error = shop.failures()["out"]
    assert isinstance(error, HistoryMismatchError)
    assert error.message.startswith("the ledger of out is older than its quarantine")
    assert error.hint is not None
    assert error.hint.endswith("send everything again: qanat run --full-refresh out")
    shop.run(full_refresh=("out",))
    assert sent(shop) == [0]
    assert shop.quarantined("out") == [(-1, ["plus"])]
    assert shop.run()["out"].status == "unchanged"


def test_a_lost_quarantine_of_a_sink(tmp_path: Path) -> None:
    shop = guarded(tmp_path)
    shutil.rmtree(shop.folder / "storage/tables/out__quarantine")
    assert "the quarantine of out is older than its ledger" in shop.failures()["out"].message
    shop.run(full_refresh=("out",))
    assert sent(shop) == [0, 0]
    assert shop.quarantined("out") == [(-1, ["plus"])]


# -- environments ------------------------------------------------------------------------------

SPEC = "name: shop\nthreads: 1\nconfiguration: {{stage: dev}}\nenvironments:\n  prod: {}\n{}"


def test_a_sink_of_each_environment(shop: Shop) -> None:
    """An option may have a value of the configuration in it."""
    shop.file("qanat.yml", SPEC.format("{configuration: {stage: prod}}", ""))
    sink(shop, "csv", {"path": "out/${stage}"})
    assert not shop.validation().problems
    assert {d.status for d in shop.run("prod").values()} == {"updated"}
    assert [f.name for f in files(shop)] == ["prod"]
    shop.run()
    assert [f.name for f in files(shop)] == ["dev", "prod"]


@pytest.mark.parametrize("path", ["out", "./out/x/..", "${place}"])
def test_two_environments_do_not_send_to_one_place(shop: Shop, path: str) -> None:
    """Neither of them: which one is meant, nobody knows."""
    shop.file(
        "qanat.yml",
        SPEC.format("{configuration: {stage: prod, place: out/../out}}", "").replace(
            "stage: dev", "stage: dev, place: out"
        ),
    )
    sink(shop, "csv", {"path": path})
    (problem,) = shop.validation().problems
    assert problem.message == "environments dev and prod would send out to the same place"
    assert problem.hint is not None
    assert problem.hint.endswith("environments: {dev: {sinks: off}} or {prod: {sinks: off}}")
    for environment in ("dev", "prod"):
        ran = shop.update(environment)
        assert [d.dataset for d in ran.failed] == ["out"]
    assert files(shop) == []


def test_an_environment_whose_sinks_are_off(shop: Shop) -> None:
    """It sends nothing, and once they are on, all that it has not sent."""
    shop.file("qanat.yml", SPEC.format("{}", "  dev: {sinks: off}\n"))
    sink(shop, "csv", {"header": "false"})
    assert not shop.validation().problems
    ran = shop.run()
    assert ran["out"].status == "unchanged"
    assert ran["out"].reason == "dev sends nothing (sinks: off)"
    off = "out: dev sends nothing (sinks: off)."
    assert off in update_text(shop.update()).splitlines()[0]
    assert "Nothing new" in update_text(shop.update())
    alone = update_text(shop.update(select=("out",)))
    assert alone == f"Nothing new: read 0 rows, wrote 0 rows. {off}"
    with pytest.raises(
        PlanError, match=r"out cannot start over: dev sends nothing \(sinks: off\)"
    ):
        shop.run("dev", full_refresh=("out",))
    assert shop.run("dev", full_refresh=("*",)).keys() == {"orders"}
    assert files(shop) == []
    shop.run("prod")
    assert len(files(shop)) == 1
    shop.file("qanat.yml", SPEC.format("{sinks: off}", ""))
    for file in files(shop):
        file.unlink()
    shop.run()
    assert [len(f.read_text().splitlines()) for f in files(shop)] == [2]


def test_a_value_that_the_configuration_lacks(shop: Shop) -> None:
    shop.file("qanat.yml", SPEC.format("{}", ""))
    sink(shop, "csv", {"path": "out/${stgae}"})
    (problem,) = shop.validation().problems
    assert problem.message == "no configuration 'stgae'"
    assert problem.nearest == "stage"


@pytest.mark.parametrize(
    ("source", "path", "format_", "again"),
    [
        ("data/*.csv", "data", "csv", True),
        ("data/*.csv", "./data/", "csv", True),
        ("data/*.csv", "data", "json", False),
        ("data/*.csv", "data/out", "csv", False),
        ("data/**/*.csv", "data/out", "csv", True),
        ("data", "data", "csv", True),
        ("data", "link", "csv", True),
        ("{data,more}/*.csv", "more", "csv", True),
        ("data/january*.csv", "data", "csv", False),
    ],
)
def test_no_sink_sends_to_where_its_rows_come_from(
    shop: Shop, source: str, path: str, format_: str, again: bool
) -> None:
    """Each update would read what the one before has sent, and send it again."""
    (shop.folder / "more").mkdir()
    (shop.folder / "link").symlink_to("data")
    shop.sql(ORDERS.replace("data/*.csv'", f"{source}', format => 'csv'"))
    sink(shop, format_, {"path": path})
    if not again:
        shop.run()
        return
    with qanat.open(shop.folder) as project:
        (problem,) = project.validate().problems
        assert project.plan().blocked
    assert problem.message.startswith("out would send its rows to where they come from: ")
    with pytest.raises(AssertionError, match="would send its rows"):
        shop.run()
    assert not list((shop.folder / "data").glob("leave*"))
