"""How much of an epoch may go to quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.errors import ProblemsError, QuarantineLimitError
from qanat.model.event import Warned
from qanat.run.session import Session
from tests.unit.run.test_update import SPEC, STREAM, Project, statuses

TABLE = """\
CREATE OR REFRESH STREAMING TABLE t (
  CONSTRAINT small EXPECT (id < 10) ON VIOLATION QUARANTINE ROW
) TBLPROPERTIES ('qanat.quarantine_limit' = '{}')
AS SELECT * FROM STREAM read_files('in/*.csv', header => true, schema => 'id INT');
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def quarantined(project: Project) -> int | None:
    with Session.open(project.root) as session:
        return session.store.snapshot(session.table("t__quarantine")).rows


def test_rules_and_what_cannot_be_parsed_count_against_the_limit(project: Project) -> None:
    project.write("a.sql", TABLE.format("50 %"))
    project.write("in/1.csv", "id\n1\n2\n30\nx\n")
    assert statuses(project.run()) == {"t": "updated"}
    project.write("in/2.csv", "id\n3\n40\ny\n")
    result = project.run()
    (error,) = (d.error for d in result.datasets if d.error is not None)
    assert isinstance(error, QuarantineLimitError)
    assert error.message == "2 rows of 3 of t would go to quarantine"
    assert error.wanted == "at most 50 % (qanat.quarantine_limit)"
    assert error.got == "small: 1 row; _malformed: 1 row"
    assert project.rows("t") == [(1,), (2,)]
    assert quarantined(project) == 2
    # Nothing is lost: with a higher limit the same file is read.
    project.write("a.sql", TABLE.format("2 rows"))
    assert statuses(project.run()) == {"t": "updated"}
    assert project.rows("t") == [(1,), (2,), (3,)]
    assert quarantined(project) == 4


def test_a_view_of_the_flow_is_held_against_the_same_limit(project: Project) -> None:
    project.write(
        "a.sql",
        """CREATE TEMPORARY VIEW v (CONSTRAINT small EXPECT (id < 10) ON VIOLATION QUARANTINE ROW)
        AS SELECT * FROM STREAM read_files('in/*.csv', header => true);
        CREATE OR REFRESH STREAMING TABLE t TBLPROPERTIES ('qanat.quarantine_limit' = '0')
        AS SELECT * FROM STREAM v;
        """,
    )
    project.write("in/1.csv", "id\n1\n20\n")
    (dataset,) = (d for d in project.run().datasets if d.error is not None)
    assert "1 row of 2 of v" in str(dataset.error)


def test_a_file_that_goes_to_quarantine_whole_is_told(project: Project) -> None:
    project.write("a.sql", TABLE.format("100 %"))
    project.write("in/good.csv", "id\n1\nx\n")
    project.write("in/one.csv", "id\nx\n")
    project.write("in/odd.csv", "id\nx\ny\n")
    assert statuses(project.run()) == {"t": "updated"}
    told = [w.message for w in project.heard.of(Warned)]
    assert told == [
        f"none of the 2 rows of {project.root}/in/odd.csv could be parsed: all are in quarantine",
        f"the only row of {project.root}/in/one.csv could not be parsed: it is in quarantine",
    ]


def test_nothing_but_rows_in_quarantine_is_told(project: Project) -> None:
    project.write("a.sql", TABLE.format("100 %"))
    project.write("in/1.csv", "id\n1\n20\n")
    project.run()
    assert not project.heard.of(Warned)
    project.write("in/2.csv", "id\n30\n40\nx\n")
    project.run()
    told = [w.message for w in project.heard.of(Warned)]
    assert told == ["none of the 3 rows that came was written: all are in quarantine"]


def test_the_configuration_has_the_limit_of_all_others(project: Project) -> None:
    project.write("qanat.yml", f"{SPEC}configuration:\n  qanat.quarantine_limit: 0\n")
    project.write("a.sql", STREAM.format("t", ", schema => 'id INT'"))
    project.write("in/1.csv", "id\n1\nx\n")
    (dataset,) = project.run().datasets
    assert "1 row of 2 of t would go to quarantine" in str(dataset.error)
    project.write("qanat.yml", f"{SPEC}configuration:\n  qanat.quarantine_limit: few\n")
    with pytest.raises(ProblemsError, match=r"qanat\.quarantine_limit' does not fit"):
        project.run()
    project.write("qanat.yml", f"{SPEC}configuration:\n  qanat.quarantine_limt: 1\n")
    with pytest.raises(ProblemsError, match=r"did you mean 'qanat\.quarantine_limit'"):
        project.run()
