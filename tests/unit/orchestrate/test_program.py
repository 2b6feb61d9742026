"""An update in a process of its own: its log, its outcome, its end."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

import qanat
from qanat.errors import DeclarationError, UpdateFailedError, UpdateRunningError
from qanat.orchestrate.outcome import outcome_of
from qanat.orchestrate.program import Qanat, stop

QANAT = (sys.executable, "-m", "qanat")
SQL = """
CREATE MATERIALIZED VIEW good (
  CONSTRAINT even EXPECT (n % 2 = 0) ON VIOLATION DROP ROW,
  CONSTRAINT small EXPECT (n < ${most}) ON VIOLATION FAIL UPDATE
) AS SELECT unnest(range(10)) AS n;
CREATE MATERIALIZED VIEW above AS SELECT * FROM good;
"""
SPEC = "name: lines\nlibraries: ['*.sql']\nconfiguration: {most: '${MOST:-100}'}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two views, the first of which may fail."""
    (tmp_path / "qanat.yml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "views.sql").write_text(SQL, encoding="utf-8")
    return tmp_path


class Lines(list[str]):
    """A log."""

    def __call__(self, level: int, text: str) -> None:
        self.append(f"{level} {text}")


def test_numbers_and_lines(project: Path) -> None:
    lines = Lines()
    outcome = Qanat(str(project), None, QANAT).run(["good"], lines, origin="a task")
    assert (outcome.code, outcome.error) == (0, None)
    good = outcome.numbers["good"]
    assert (good["status"], good["written"], good["dropped"]) == ("updated", 5, 5)
    assert good["violations"] == {"even": 5, "small": 0}
    assert list(outcome.numbers) == ["good"]
    assert lines[0].startswith(f"20 {sys.executable} -m qanat run -C {project} --select good")
    assert "30 good: 5 violations of even: drop" in lines
    assert lines[-1].startswith("20 update_ended update=")
    with qanat.open(project) as opened:
        assert [entry.update.origin for entry in opened.history()] == ["a task"]


def test_a_failed_expectation_says_why(project: Path) -> None:
    lines = Lines()
    outcome = Qanat(str(project), None, QANAT, {"MOST": "9"}).run([], lines, origin="a task")
    assert (outcome.code, type(outcome.error)) == (1, UpdateFailedError)
    assert "good: ExpectationFailedError (Q2001): " in str(outcome.error)
    assert "small" in str(outcome.error)
    assert [(d["dataset"], d["status"]) for d in outcome.datasets] == [
        ("good", "failed"),
        ("above", "skipped"),
    ]
    assert any(line.startswith("40 dataset_ended good status=failed") for line in lines)


def test_an_error_of_the_author(project: Path) -> None:
    (project / "views.sql").write_text("CREATE MATERIALIZED VIEW x AS SELECT y;", encoding="utf-8")
    outcome = Qanat(str(project), None, QANAT).run([], Lines(), origin="a task")
    assert (outcome.code, type(outcome.error)) == (2, DeclarationError)
    assert "views.sql:1" in str(outcome.error)
    missing = Qanat(str(project), "no_such", QANAT).run([], Lines(), origin="a task")
    assert (missing.code, type(missing.error)) == (2, DeclarationError)


def test_another_update_is_in_the_way() -> None:
    error = {"code": "Q5001", "error": "UpdateRunningError", "message": "another one"}
    outcome = outcome_of(1, f'{{"error": {error}}}'.replace("'", '"'), "")
    assert isinstance(outcome.error, UpdateRunningError)


def test_a_process_that_was_killed(project: Path) -> None:
    outcome = Qanat(str(project), None, ("sh", "-c", "echo gone >&2; kill -9 $$")).run(
        [], Lines(), origin="a task"
    )
    assert outcome.code == -signal.SIGKILL
    assert str(outcome.error) == "qanat was killed by signal 9\ngone"


def test_a_process_is_stopped_from_elsewhere(project: Path) -> None:
    began = threading.Event()
    asleep = Qanat(str(project), None, ("sh", "-c", "exec sleep 600"))

    def started(process: object) -> None:
        began.set()
        threading.Thread(target=stop, args=(process,)).start()

    outcome = asleep.run([], Lines(), origin="a task", started=started)  # type: ignore[arg-type]
    assert (outcome.code, began.is_set()) == (-signal.SIGTERM, True)
