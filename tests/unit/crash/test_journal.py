"""The journal: no case is tried twice, and verdicts on another program do not count."""

from __future__ import annotations

from pathlib import Path

from qanat.crash.case import Verdict
from qanat.crash.journal import Journal

ONE, TWO = Verdict("s kill@1 #0", 1), Verdict("s kill@2 #0", 1, complaints=("x",))


def test_a_test_continues_with_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    Journal(path, "key").add(ONE)
    again = Journal(path, "key")
    again.add(TWO)
    assert Journal(path, "key").verdicts == {ONE.case: ONE, TWO.case: TWO}


def test_another_key_starts_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "key").add(ONE)
    assert Journal(path, "other").verdicts == {}
    assert Journal(path, "key").verdicts == {}


def test_a_case_with_a_half_written_line_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "key")
    journal.add(ONE)
    journal.add(TWO)
    path.write_bytes(path.read_bytes()[:-5])
    again = Journal(path, "key")
    assert again.verdicts == {ONE.case: ONE}
    again.add(TWO)
    assert Journal(path, "key").verdicts == {ONE.case: ONE, TWO.case: TWO}


def test_without_a_file_the_verdicts_stay_in_memory() -> None:
    journal = Journal(None, "key")
    journal.add(ONE)
    assert journal.verdicts == {ONE.case: ONE}
