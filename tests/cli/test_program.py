"""The program itself: help, version, wrong command lines."""

from __future__ import annotations

from typing import Any

COMMANDS = (
    "init",
    "validate",
    "plan",
    "run",
    "test",
    "show",
    "lineage",
    "history",
    "quarantine",
    "profile",
    "doctor",
)


def test_help(transcript: Any) -> None:
    assert transcript.type("qanat --help") == 0
    assert transcript.type("qanat init --help") == 0


def test_wrong_command_line(transcript: Any) -> None:
    for line in (
        "qanat rnu",
        "qanat frobnicate",
        "qanat -C shop run",
        "qanat init --otput json",
        "qanat init --output yaml",
        "qanat init a b",
        "qanat init --output json --tmplate x",
    ):
        assert transcript.type(line) == 2


def test_later_releases(transcript: Any) -> None:
    for line in ("qanat backfill", "qanat serve --port 80", "qanat export --help"):
        assert transcript.type(line) == 2


def test_init(transcript: Any) -> None:
    assert transcript.type("qanat init 'my shop'") == 0
    transcript.file("my shop/README.md", "mine\n", shown=False)
    assert transcript.type("qanat init 'my shop'") == 2
    assert (transcript.folder / "my shop/README.md").read_text() == "mine\n"
    assert transcript.type("qanat init other --output json") == 0


def test_init_into_a_file(transcript: Any) -> None:
    transcript.file("shop", "a file\n")
    assert transcript.type("qanat init shop") == 2
    assert transcript.type("qanat init shop/below") == 2


def test_version(terminal: Any) -> None:
    assert terminal.type("qanat --version") == 0
    assert "qanat 0." in terminal.text
