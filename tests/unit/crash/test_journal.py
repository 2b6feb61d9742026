"""Verdicts on disk: nothing is tried twice, and nothing is believed of another program."""

from __future__ import annotations

from pathlib import Path

from qanat.crash.case import Verdict
from qanat.crash.journal import Journal

ONE, TWO = Verdict("s kill@1 #0", 1), Verdict("s kill@2 #0", 1, complaints=("x",))


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    Journal(path, "key").add(ONE)
    again = Journal(path, "key")
    again.add(TWO)
    assert Journal(path, "key").verdicts == {ONE.case: ONE, TWO.case: TWO}


def test_another_program_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "key").add(ONE)
    assert Journal(path, "other").verdicts == {}
    assert Journal(path, "key").verdicts == {}


def test_a_line_that_was_cut_short_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "key")
    journal.add(ONE)
    journal.add(TWO)
    path.write_bytes(path.read_bytes()[:-5])
    again = Journal(path, "key")
    assert again.verdicts == {ONE.case: ONE}
    again.add(TWO)
    assert Journal(path, "key").verdicts == {ONE.case: ONE, TWO.case: TWO}


def test_without_a_file_it_is_kept_in_memory() -> None:
    journal = Journal(None, "key")
    journal.add(ONE)
    assert journal.verdicts == {ONE.case: ONE}
