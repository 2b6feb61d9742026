"""Observers of the spec: who is told what of an update, and what becomes of what they miss."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat import plugins
from qanat.model.event import DatasetStarted, Event, UpdateStarted, Warned
from qanat.run.results import Selection, UpdateResult
from qanat.run.session import Session
from qanat.run.update import update
from tests.receivers import Receiver, Request, receiving

SQL = """
CREATE STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM read_files('in/*.csv', schema => 'id BIGINT, amount BIGINT');
CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM bronze;
"""


class Warnings:
    """Keeps what an update warns of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.texts.append(event.message)


class Shop:
    """A project with observers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "in").mkdir()
        (root / "tables.sql").write_text(SQL)
        self.arrive(1)

    def arrive(self, number: int) -> None:
        """Another file comes."""
        (self.root / f"in/{number}.csv").write_text(f"id,amount\n{number},5\n{number}0,-1\n")

    def observe(self, **observers: dict[str, Any]) -> None:
        spec = {"name": "shop", "threads": 1, "libraries": ["*.sql"], "observers": observers}
        (self.root / "qanat.yml").write_text(json.dumps(spec))

    def update(self, *observers: Any, environment: str | None = None) -> UpdateResult:
        with Session.open(self.root, environment) as session:
            return update(session, observers=observers)

    def kept(self, update: str) -> list[str]:
        """The identifiers of the events that the ledger has of an update."""
        with Session.open(self.root) as session:
            return [f"{update}/{r.number}" for r in session.ledger.events(update)]

    def owed(self) -> list[tuple[str, str]]:
        with Session.open(self.root) as session:
            found = session.ledger.claim(["hook", "log", "lineage", "odd"], 0.0)
            return [(each.observer, each.update) for each in found]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def closed() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ids(bodies: Sequence[dict[str, Any]]) -> list[str]:
    return [str(body["id"]) for body in bodies]


def test_a_webhook_gets_every_event_once_and_in_order(shop: Shop) -> None:
    with receiving() as receiver:
        shop.observe(
            hook={"kind": "webhook", "url": f"{receiver.url}/qanat?x=1", "wait": "30 seconds"}
        )
        result = shop.update()
    assert ids(receiver.taken) == shop.kept(result.id)
    first, *_, last = receiver.taken
    told = first["type"], last["type"]
    assert told == ("dev.qanat.update.started", "dev.qanat.update.ended")
    assert last["data"]["facts"]["status"] == "succeeded"
    assert {r.path for r in receiver.requests} == {"/qanat?x=1"}
    committed = next(b for b in receiver.taken if b["type"] == "dev.qanat.epoch.committed")
    assert committed["subject"] == "bronze"
    assert committed["data"]["facts"]["counts"]["quarantined"] == 1
    assert shop.owed() == []


def test_an_update_without_news_tells_nothing(shop: Shop) -> None:
    with receiving() as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        shop.update()
        before = len(receiver.requests)
        assert shop.update().id == ""
        assert len(receiver.requests) == before


def test_what_is_not_delivered_the_next_update_delivers(shop: Shop, closed: int) -> None:
    shop.observe(hook={"kind": "webhook", "url": f"http://127.0.0.1:{closed}", "wait": "1 second"})
    warnings = Warnings()
    missed = shop.update(warnings)
    assert missed.status == "succeeded"
    refused, left = warnings.texts
    assert refused == (
        f"observer hook: http://127.0.0.1:{closed} cannot be reached (Connection refused);"
        " it is tried again"
    )
    count = len(shop.kept(missed.id))
    assert left == (
        f"observer hook: {count} events are still to be delivered: the next update tries again"
    )
    assert shop.owed() == [("hook", missed.id)]
    with receiving(Receiver(port=closed)) as receiver:
        # It has nothing to do itself.
        assert shop.update().id == ""
        assert ids(receiver.taken) == shop.kept(missed.id)
    assert shop.owed() == []


def test_what_is_left_comes_before_what_is_new(shop: Shop, closed: int) -> None:
    shop.observe(
        hook={"kind": "webhook", "url": f"http://127.0.0.1:{closed}", "wait": "30 seconds"}
    )
    missed = [shop.update().id]
    shop.arrive(2)
    missed.append(shop.update().id)
    shop.arrive(3)
    with receiving(Receiver(port=closed)) as receiver:
        last = shop.update().id
    expected = [i for each in (*missed, last) for i in shop.kept(each)]
    assert ids(receiver.taken) == expected


KILLED = """
import os, sys
from pathlib import Path
from qanat.model.event import kind_of
from qanat.run.session import Session
from qanat.run.update import update

class Die:
    def on(self, event):
        if kind_of(event) == sys.argv[2]:
            os.kill(os.getpid(), 9)

with Session.open(Path(sys.argv[1])) as session:
    update(session, observers=[Die()])
"""


def killed(shop: Shop, at: str) -> str:
    """The identifier of an update that is killed when it tells an event of that kind."""
    command = [sys.executable, "-c", KILLED, str(shop.root), at]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Session.open(shop.root) as session:
        (crashed,) = session.ledger.updates(1)
    return crashed.id


@pytest.mark.parametrize("at", ["epoch_committed", "dataset_ended", "update_ended"])
@pytest.mark.parametrize("reachable", [False, True])
def test_of_an_update_that_was_killed_no_event_is_lost(
    shop: Shop, closed: int, reachable: bool, at: str
) -> None:
    url = f"http://127.0.0.1:{closed}"
    shop.observe(hook={"kind": "webhook", "url": url, "wait": "30 seconds"})
    receiver = Receiver(port=closed)
    if reachable:
        with receiving(receiver):
            crashed = killed(shop, at)
    else:
        crashed = killed(shop, at)
    shop.arrive(2)
    with receiving(receiver):
        after = shop.update().id
    got = ids(receiver.taken)
    assert set(shop.kept(crashed)) <= set(got)
    assert [i for i in got if i.startswith(after)] == shop.kept(after)
    assert shop.owed() == []
    ends = [b for b in receiver.taken if b["type"] == "dev.qanat.update.ended"]
    (end,) = [b["data"]["facts"] for b in ends if b["data"]["update"] == crashed]
    if at == "update_ended":
        # It had been written that it succeeded.
        assert (end["status"], end["failure"]) == ("succeeded", None)
    else:
        assert f"{crashed}/crashed" in got
        assert end["status"] == "failed"
        assert end["failure"]["message"] == "its process ended before it did"


def test_a_process_that_is_killed_while_it_delivers(shop: Shop) -> None:
    running: list[subprocess.Popen[bytes]] = []

    def answer(number: int, request: Request) -> tuple[int, dict[str, str]]:
        del request
        if number == 4:
            running[0].kill()
            running[0].wait(60)
        return 200, {}

    with receiving(Receiver(answer)) as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        command = [sys.executable, "-c", KILLED, str(shop.root), "never"]
        running.append(subprocess.Popen(command))
        assert running[0].wait(60) == -signal.SIGKILL
        shop.arrive(2)
        shop.update()
        with Session.open(shop.root) as session:
            updates = [u.id for u in session.ledger.updates()]
    got = ids(receiver.taken)
    for each in updates:
        assert set(shop.kept(each)) <= set(got)
    assert shop.owed() == []


def test_a_continuous_update_tells_while_it_runs(shop: Shop) -> None:
    stop, told = threading.Event(), threading.Event()

    def answer(number: int, request: Request) -> tuple[int, dict[str, str]]:
        if request.json["type"] == "dev.qanat.epoch.committed":
            told.set()
        return 200, {}

    with receiving(Receiver(answer)) as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        with qanat.open(shop.root) as project:
            run = threading.Thread(target=lambda: project.run_continuously(stop=stop))
            run.start()
            assert told.wait(60)
            stop.set()
            run.join(60)
    types = [b["type"] for b in receiver.taken]
    assert types[0] == "dev.qanat.update.started"
    assert types[-1] == "dev.qanat.update.ended"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_be_taken_later_is_sent_again(shop: Shop, status: int) -> None:
    def answer(number: int, request: Request) -> tuple[int, dict[str, str]]:
        del request
        return (status, {"Retry-After": "1"}) if number in (2, 3) else (200, {})

    with receiving(Receiver(answer)) as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        waiting = Patient()
        result = shop.update(waiting)
        sent = ids([r.json for r in receiver.requests])
    # The update may end while it waits: what it was told to wait for is then the next one's.
    assert sent[1] == sent[2]
    with receiving(receiver):
        shop.update()
    assert sorted(set(ids(receiver.taken))) == sorted(shop.kept(result.id))


class Patient:
    """Lets an update last for some seconds."""

    def on(self, event: Event) -> None:
        if isinstance(event, DatasetStarted):
            time.sleep(1.5)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_receiver_refuses_is_not_sent_again(shop: Shop, status: int) -> None:
    def answer(number: int, request: Request) -> tuple[int, dict[str, str]]:
        del request
        return (status, {}) if number == 2 else (200, {})

    warnings = Warnings()
    with receiving(Receiver(answer)) as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        result = shop.update(warnings)
    first, second, *_ = shop.kept(result.id)
    sent = ids([r.json for r in receiver.requests])
    assert sent == shop.kept(result.id)
    assert second not in ids(receiver.taken)
    assert first in ids(receiver.taken)
    assert [w.partition(" (")[0] for w in warnings.texts] == [
        f"observer hook: {receiver.url} does not take an event",
        "observer hook: it refused 1 event",
    ]
    assert shop.owed() == []


@pytest.mark.parametrize("status", [301, 401, 403, 404, 410])
def test_a_receiver_that_takes_nothing_is_asked_once(shop: Shop, status: int) -> None:
    with receiving(Receiver(lambda number, request: (status, {}))) as receiver:
        shop.observe(hook={"kind": "webhook", "url": receiver.url, "wait": "30 seconds"})
        result = shop.update()
        assert len(receiver.requests) == 1
        receiver.answer = lambda number, request: (200, {})
        shop.update()
        assert ids(receiver.taken) == shop.kept(result.id)


def test_a_receiver_that_hangs_slows_no_update(shop: Shop) -> None:
    hanging = threading.Event()

    def answer(number: int, request: Request) -> tuple[int, dict[str, str]]:
        hanging.wait(60)
        return 200, {}

    with receiving(Receiver(answer)) as receiver:
        hook = {
            "kind": "webhook",
            "url": receiver.url,
            "wait": "1 second",
            "timeout": "50 seconds",
        }
        shop.observe(hook=hook)
        warnings = Warnings()
        assert shop.update(warnings).status == "succeeded"
        # The server is still asked: nobody waited for its answer.
        assert len(receiver.requests) == 1
        assert not receiver.accepted
        hanging.set()
    assert "still to be delivered" in warnings.texts[-1]


def test_filters(shop: Shop) -> None:
    with receiving() as receiver:
        hook = {"kind": "webhook", "url": receiver.url, "wait": "30 seconds"}
        chosen = {"events": ["dataset_ended", "update_ended"], "datasets": ["GO*"]}
        shop.observe(hook=hook | chosen)
        shop.update()
    told = [(b["type"], b["subject"]) for b in receiver.taken]
    assert [t for t, _ in told] == ["dev.qanat.dataset.ended", "dev.qanat.update.ended"]
    assert told[0][1] == "gold"
    assert shop.owed() == []


def test_an_environment_may_leave_one_out_and_have_others(shop: Shop) -> None:
    shop.observe(log={"kind": "file", "path": "log/dev.ndjson"})
    spec = json.loads((shop.root / "qanat.yml").read_text())
    other = {"kind": "file", "path": "log/prod.ndjson"}
    spec["environments"] = {"prod": {"observers": {"log": "OFF", "other": other}}}
    text = json.dumps(spec).replace('"OFF"', "off")
    (shop.root / "qanat.yml").write_text(text)
    shop.update(environment="prod")
    assert sorted(f.name for f in (shop.root / "log").iterdir()) == ["prod.ndjson"]
    shop.update()
    assert sorted(f.name for f in (shop.root / "log").iterdir()) == ["dev.ndjson", "prod.ndjson"]
    line = json.loads((shop.root / "log/prod.ndjson").read_text().splitlines()[0])
    assert line["source"] == "qanat:shop/prod"


def test_tls_is_verified(shop: Shop, tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with receiving(tls=tls) as receiver:
        hook = {"kind": "webhook", "url": receiver.url, "wait": "30 seconds"}
        shop.observe(hook=hook)
        warnings = Warnings()
        missed = shop.update(warnings)
        assert warnings.texts[0].startswith(
            f"observer hook: the certificate of {receiver.url} is not trusted"
        )
        assert not receiver.requests
        shop.observe(hook=hook | {"ca_file": "cert.pem"})
        shop.update()
        assert ids(receiver.taken) == shop.kept(missed.id)


def test_events_that_are_too_old_are_given_up(shop: Shop, closed: int) -> None:
    hook = {"kind": "webhook", "url": f"http://127.0.0.1:{closed}", "wait": "1 second"}
    shop.observe(hook=hook)
    shop.update()
    shop.observe(hook=hook | {"keep": "0 seconds"})
    warnings = Warnings()
    shop.update(warnings)
    assert warnings.texts == ["observer hook: events of 1 update are too old and are given up"]
    assert shop.owed() == []


def test_two_updates_at_once_deliver_nothing_twice(shop: Shop, closed: int) -> None:
    (shop.root / "tables.sql").write_text(
        "CREATE MATERIALIZED VIEW a AS SELECT 1 AS n;\n"
        "CREATE MATERIALIZED VIEW b AS SELECT 2 AS n;"
    )
    shop.observe(
        hook={"kind": "webhook", "url": f"http://127.0.0.1:{closed}", "wait": "20 seconds"}
    )
    missed = shop.update().id
    with receiving(Receiver(port=closed)) as receiver:
        both = threading.Barrier(2)

        def run(name: str) -> None:
            class Meet:
                def on(self, event: Event) -> None:
                    if isinstance(event, UpdateStarted):
                        both.wait(30)

            with Session.open(shop.root) as session:
                update(session, Selection((name,), refresh=(name,)), observers=[Meet()])

        threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    got = ids(receiver.taken)
    assert len(got) == len(set(got))
    assert [i for i in got if i.startswith(missed)] == shop.kept(missed)


# -- observers of other packages -----------------------------------------------------------------

ODD = """
import time
from pathlib import Path
from qanat.errors import UndeliveredError
from qanat.model.adapter import Option, ValueType
from qanat.model.kind import ObserverKind
from qanat.model.observer import ObserverOptions

class Odd:
    def __init__(self, name, options, observed):
        self.what = options["does"]
        self.file = observed.root / "odd.txt"
        if self.what == "raise at first":
            raise RuntimeError("no")

    def deliver(self, told):
        if self.what == "exit":
            raise SystemExit(3)
        if self.what == "raise":
            raise ValueError("it knows no such event")
        if self.what == "be busy":
            raise OSError("busy")
        if self.what == "hang":
            time.sleep(60)
        with self.file.open("a") as file:
            file.write(told.id + "\\n")

    def close(self):
        if self.what == "raise at last":
            raise RuntimeError("no")

OPTIONS = ObserverOptions("an observer of the kind 'odd'", (Option("does", "what it does"),))
KIND = ObserverKind("odd", "odd_observer:Odd", OPTIONS)
BRIEF = ObserverKind("brief", "odd_observer:Odd", OPTIONS, later=False)
"""


@pytest.fixture
def _odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "site"
    known = folder / "odd-1.0.dist-info"
    known.mkdir(parents=True)
    (known / "METADATA").write_text("Name: odd\nVersion: 1.0\n", encoding="utf-8")
    points = "[qanat.observers]\nodd = odd_observer:KIND\nbrief = odd_observer:BRIEF\n"
    (known / "entry_points.txt").write_text(points, encoding="utf-8")
    (folder / "odd_observer.py").write_text(ODD, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    for asked in (plugins._installed, plugins._entry_points):
        asked.cache_clear()
    yield
    sys.modules.pop("odd_observer", None)
    for asked in (plugins._installed, plugins._entry_points):
        asked.cache_clear()


@pytest.mark.usefixtures("_odd")
def test_an_observer_of_another_package(shop: Shop) -> None:
    shop.observe(odd={"kind": "odd", "does": "its work", "wait": "30 seconds"})
    result = shop.update()
    assert (shop.root / "odd.txt").read_text().split() == shop.kept(result.id)


@pytest.mark.usefixtures("_odd")
@pytest.mark.parametrize(
    ("does", "warning"),
    [
        ("raise", "ValueError('it knows no such event'); that event is not sent again"),
        ("raise at first", "RuntimeError('no'); it is told no more of this update"),
        ("exit", "SystemExit(3); that event is not sent again"),
        ("be busy", "OSError('busy'); it is tried again"),
        ("hang", None),
        ("raise at last", None),
    ],
)
def test_no_observer_can_spoil_an_update(shop: Shop, does: str, warning: str | None) -> None:
    shop.observe(odd={"kind": "odd", "does": does, "wait": "1 second"})
    warnings = Warnings()
    result = shop.update(warnings)
    assert result.status == "succeeded"
    assert {d.status for d in result.datasets} == {"updated"}
    if warning is not None:
        assert warnings.texts[0] == f"observer odd: {warning}"
    # Each fault is told once, and at the end what became of the events.
    assert len(warnings.texts) <= 2


@pytest.mark.usefixtures("_odd")
def test_an_observer_that_is_not_told_later(shop: Shop) -> None:
    shop.observe(odd={"kind": "brief", "does": "be busy", "wait": "1 second"})
    warnings = Warnings()
    result = shop.update(warnings)
    lost = f"{len(shop.kept(result.id))} events could not be delivered"
    assert warnings.texts[-1] == f"observer odd: {lost}"
    assert shop.owed() == []


class Raising:
    """An observer that a program hands over, and that fails."""

    def __init__(self) -> None:
        self.asked = 0

    def on(self, event: Event) -> None:
        self.asked += 1
        raise ValueError("no such event")


def test_an_observer_that_is_handed_over_cannot_spoil_an_update(shop: Shop) -> None:
    shop.observe()
    raising, warnings = Raising(), Warnings()
    with qanat.open(shop.root) as project:
        result = project.run(observers=[raising, warnings])
    assert result.status == "succeeded"
    assert raising.asked == 1
    assert warnings.texts == [
        "the observer Raising failed, and is told no more: ValueError('no such event')"
    ]


def test_a_unit_test_of_the_project_tells_nobody(shop: Shop) -> None:
    (shop.root / "tests").mkdir()
    (shop.root / "tests/gold.yml").write_text(
        "unit_tests: [{name: one, model: gold,"
        " given: [{input: bronze, rows: [{id: 1, amount: 2}]}],"
        " expect: {rows: [{n: 1}]}}]"
    )
    shop.observe(log={"kind": "file", "path": "events.ndjson"})
    with qanat.open(shop.root) as project:
        assert all(unit.passed for unit in project.test().units)
    assert not (shop.root / "events.ndjson").exists()


def test_secrets_are_not_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_PATH", "T0-hunter2")
    with receiving(Receiver(lambda number, request: (404, {}))) as receiver:
        url = f"{receiver.url}/${{HOOK_PATH}}"
        shop.observe(
            hook={"kind": "webhook", "url": url, "token": "hunter3", "wait": "30 seconds"}
        )
        warnings = Warnings()
        shop.update(warnings)
        assert receiver.requests[0].path == "/T0-hunter2"
        assert receiver.requests[0].headers["authorization"] == "Bearer hunter3"
    with Session.open(shop.root) as session:
        shown = repr(session.project) + "".join(warnings.texts)
    assert "hunter" not in shown
    assert "hunter" not in (shop.root / "storage/_qanat/ledger.db").read_bytes().decode("latin-1")
    assert os.environ["HOOK_PATH"] == "T0-hunter2"
