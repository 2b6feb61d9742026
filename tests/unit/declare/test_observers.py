"""The section `observers` of a spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.spec import load_project
from qanat.errors import ProblemsError
from qanat.model.observer import DeclaredObserver
from qanat.model.pipeline import ProjectSpec

SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def load(folder: Path, text: str, environment: str | None = None) -> ProjectSpec:
    (folder / "qanat.yml").write_text(f"name: shop\n{text}", encoding="utf-8")
    kinds = plugins.engine, plugins.table_format, plugins.observer_kind
    environ = {"SECRET": SIGNS, "BAD": "hunter2"}
    return load_project(folder / "qanat.yml", *kinds, environment, environ)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load(folder, text)
    return [str(p) for p in caught.value.problems]


def test_observers(tmp_path: Path) -> None:
    project = load(
        tmp_path,
        """\
observers:
  alerts:
    kind: webhook
    url: https://hooks.example/qanat
    secret: ${SECRET}
    events: [update_ended, dataset_ended]
    datasets: gold_*, silver
    wait: 3 seconds
    keep: 2 days
  lineage: {kind: openlineage, path: lineage.ndjson}
""",
    )
    alerts, lineage = project.observers
    assert alerts == DeclaredObserver(
        "alerts",
        "webhook",
        {"url": "https://hooks.example/qanat", "secret": SIGNS},
        ("update_ended", "dataset_ended"),
        ("gold_*", "silver"),
        3.0,
        2 * 86400.0,
    )
    assert lineage == DeclaredObserver("lineage", "openlineage", {"path": "lineage.ndjson"})
    assert SIGNS not in repr(project)


def test_environments_add_change_and_leave_out(tmp_path: Path) -> None:
    text = """\
observers:
  log: {kind: file, path: log.ndjson}
  more: {kind: file, path: more.ndjson}
environments:
  prod:
    observers:
      log: {kind: file, path: prod.ndjson}
      more: off
      alerts: {kind: webhook, url: "https://hooks.example"}
"""
    assert [o.name for o in load(tmp_path, text).observers] == ["log", "more"]
    prod = load(tmp_path, text, "prod").observers
    assert [(o.name, o.options.get("path")) for o in prod] == [
        ("log", "prod.ndjson"),
        ("alerts", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "observers: [webhook]",
            (
                "qanat.yml:2:12: observers is not a mapping\n"
                "  wanted: observers: {NAME: {kind: webhook, url: https://…}}"
            ),
        ),
        (
            "observers:\n  alerts: https://hooks.example",
            (
                "qanat.yml:3:11: observer 'alerts' is not a mapping\n"
                "  wanted: {kind: webhook, url: https://…}, or off"
            ),
        ),
        (
            "observers:\n  alerts: {kind: webhok, url: 'https://a'}",
            (
                "qanat.yml:3:18: there is no kind of observer 'webhok' (did you mean 'webhook'?)\n"
                "  wanted: file or openlineage or webhook"
            ),
        ),
        (
            "observers:\n  alerts: {url: 'https://a'}",
            (
                "qanat.yml:3:3: an observer needs the option 'kind'\n"
                "  wanted: kind => …: what it is: `webhook`, `openlineage`, `file`, or a kind of"
                " another package"
            ),
        ),
        (
            "observers:\n  alerts:\n    kind: webhook\n    ulr: https://a",
            (
                "qanat.yml:5:5: an observer of the kind 'webhook' has no option 'ulr'"
                " (did you mean 'url'?)"
            ),
        ),
        (
            "observers:\n  alerts:\n    kind: webhook\n    url: https://a\n    mode: binry",
            (
                "qanat.yml:6:11: the option 'mode' of an observer of the kind 'webhook' does not"
                " fit (did you mean 'binary'?)\n  wanted: structured or binary\n  got: 'binry'"
            ),
        ),
        (
            "observers:\n  alerts: {kind: webhook}",
            (
                "qanat.yml:3:3: an observer of the kind 'webhook' needs the option 'url'\n"
                "  wanted: url => …: where events are posted to"
            ),
        ),
        (
            (
                "observers:\n  alerts:\n    kind: webhook\n    url: https://a\n"
                "    events: [update_ended, epoch_commited]"
            ),
            (
                "qanat.yml:6:28: there is no kind of event 'epoch_commited'"
                " (did you mean 'epoch_committed'?)"
            ),
        ),
        (
            "observers:\n  lineage: {kind: openlineage}",
            (
                "qanat.yml:3:3: an observer of the kind 'openlineage' needs either the option"
                " 'url' or the option 'path'\n  wanted: url: https://…, or path: lineage.ndjson"
            ),
        ),
        (
            "observers:\n  alerts: {kind: webhook, url: 'https://a', verify: false}",
            (
                "qanat.yml:3:45: an observer of the kind 'webhook' has no option 'verify'\n"
                "  hint: certificates are always verified; `ca_file` names those to trust"
            ),
        ),
        (
            "observers:\n  alerts: {kind: webhook, url: 'https://a', wait: soon}",
            (
                "qanat.yml:3:51: the option 'wait' of an observer does not fit\n"
                "  wanted: a duration such as 10 seconds\n  got: 'soon'"
            ),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, text) == [message]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("url: '${BAD}'", "the option 'url' of an observer of the kind 'webhook' is no URL"),
        ("url: 'https://a', secret: '${BAD}'", "the option 'secret' of an observer of the kind"),
        ("url: 'https://a', token: [a, '${BAD}']", "the option 'token' of an observer of the"),
    ],
)
def test_an_error_shows_no_secret(tmp_path: Path, options: str, message: str) -> None:
    (found,) = problems(tmp_path, f"observers:\n  alerts: {{kind: webhook, {options}}}")
    assert message in found
    assert "hunter2" not in found


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "observers:\n  a: {kind: webhook, url: x, mode: y}\n  b: {kind: file, pth: z}"
    assert len(problems(tmp_path, text)) == 3
