"""One rule for all commands: an error ends each that tells it with the error's own exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qanat import errors
from qanat.cli.program import main
from qanat.errors import ExpectationFailedError, ProblemsError, QanatError, SchemaMismatchError
from qanat.run import dataset, doctor, mistakes, plan as planning
from qanat.run.session import Session

VERBS = {
    "validate": "qanat validate",
    "plan": "qanat plan",
    "dry run": "qanat run --dry-run",
    "run": "qanat run",
    "doctor": "qanat doctor",
}


def classes(kind: type[QanatError] = QanatError) -> Iterator[type[QanatError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith("qanat.errors"):
            yield from classes(child)


def made(kind: type[QanatError]) -> QanatError:
    return kind([ExpectationFailedError("x")]) if kind is ProblemsError else kind("something")  # type: ignore[arg-type]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "transformations").mkdir()
    (tmp_path / "qanat.yml").write_text("name: shop\nretries: 0\n")
    (tmp_path / "transformations/a.sql").write_text(
        "CREATE MATERIALIZED VIEW gold AS SELECT 1 AS one;\n"
    )
    return tmp_path


def met(error: QanatError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever looks at a dataset meet the error."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(
        mistakes, "describe", lambda *_: SimpleNamespace(problems=[error], schema=None)
    )
    for module in (planning, dataset):
        monkeypatch.setattr(module, "gather", fail)
    monkeypatch.setattr(doctor, "check_owners", fail)


def code_of(line: str, shop: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*line.split()[1:], "-C", str(shop)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_every_command_ends_with_the_code_of_the_error_that_it_tells(
    kind: type[QanatError], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = made(kind)
    met(error, monkeypatch)
    codes = {verb: code_of(line, shop) for verb, line in VERBS.items()}
    assert codes == dict.fromkeys(VERBS, error.exit_code)


@pytest.mark.parametrize("verb", VERBS)
def test_an_error_that_is_raised_ends_a_command_with_its_code(
    verb: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in map(made, classes()):

        def fail(*_: Any, error: QanatError = error) -> Any:
            raise error

        monkeypatch.setattr(Session, "open", fail)
        wanted = error.exit_code
        if verb == "doctor" and isinstance(error, errors.SpecNotFoundError):
            wanted = 0  # there is no project, and nothing is wrong with the installation
        assert code_of(VERBS[verb], shop) == wanted, type(error)


def test_the_author_comes_first_where_data_fails_as_well() -> None:
    several = ProblemsError([ExpectationFailedError("a"), SchemaMismatchError("b")])
    assert several.exit_code == 2
    assert ProblemsError([ExpectationFailedError("a")]).exit_code == 1
