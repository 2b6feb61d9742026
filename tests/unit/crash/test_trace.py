"""The record of calls, as the injector writes it."""

from __future__ import annotations

from pathlib import Path

from qanat.crash.trace import Call, notes, read_trace, sites

RECORD = (
    b"o\t0\t0\t0\t0\tc-\tin/%25a%09b\t\n"
    b"w\t5\t7\t5\t5\t-\tin/x\t\na\nb\t\x00\n"
    b'#\t0\t0\t0\t0\tsaid\t{"n": 1}\t\n'
    b"l\t-17\t0\t0\t0\t-\ta\tb\n"
)


def test_calls_are_read_with_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(RECORD)
    assert read_trace(tmp_path / "trace") == [
        Call("o", 0, 0, 0, "c-", "in/%a\tb", ""),
        Call("w", 5, 7, 5, "-", "in/x", "", b"a\nb\t\0"),
        Call("#", 0, 0, 0, "said", '{"n": 1}', ""),
        Call("l", -17, 0, 0, "-", "a", "b"),
    ]


def test_a_kill_may_cut_the_last_line(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(RECORD[:-3])
    assert len(read_trace(tmp_path / "trace")) == 3


def test_notes_are_no_calls(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(RECORD)
    calls = read_trace(tmp_path / "trace")
    assert [c.op for c in sites(calls)] == ["o", "w", "l"]
    assert list(notes(calls)) == [(2, '{"n": 1}')]


def test_a_site_has_the_same_name_in_every_run() -> None:
    names = ("epoch-1-" + "0f" * 16, "epoch-1-" + "a3" * 16)
    found = {Call("w", 1, 0, 1, "-", f"t/{name}-0.parquet", "").site for name in names}
    assert Call("s", 0, 0, 0, "-", "", "").site == "sync the project's folder"
    assert found == {"write t/epoch-1-…-0.parquet"}
