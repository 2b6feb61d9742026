"""One case: a command meets a fault, others recover from it, and what is left is judged."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from http.client import HTTPException
from random import Random

from qanat.crash.case import Findings, Verdict
from qanat.errors import (
    CommitConflictError,
    LeaseLostError,
    LedgerError,
    SourceUnavailableError,
    UpdateRunningError,
)
from qanat.frozen import Frozen
from tests.objects.books import misbooked
from tests.objects.client import LEASE_SECONDS, Client
from tests.objects.faults import FAULTS, MOMENTS, Case, Fault, Shot
from tests.objects.judge import Rows, compare, leftovers, look
from tests.objects.projects import DECLARED, RUN, Scenario, Words
from tests.objects.proxy import Exchange, Request
from tests.objects.site import Site

_CODE = re.compile(r"\bQ\d{4}\b")
_KILLED = -9
_EXPLAINED = {
    kind.code
    for kind in (
        CommitConflictError,
        LeaseLostError,
        LedgerError,
        SourceUnavailableError,
        UpdateRunningError,
    )
}
"""What a command may end with, if its fault lets it fail."""
UPLOAD_LEFT = "upload left"
"""Among the errors of a verdict: an upload in parts that nobody has ended."""
LATE_LEFT = "late object left"
"""Among them: an object that arrived when nothing looked for leftovers any more."""
_FOREIGN = b'{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE","engineInfo":"another tool"}}\n'


class Reference(Frozen):
    """A scenario without a fault: the requests of its command, and what is left."""

    requests: Sequence[Request]
    rows: Rows


class Late:
    """A request that is under way, and arrives at a moment that is drawn."""

    def __init__(self, exchange: Exchange, draw: Random) -> None:
        self.moment = draw.choice(MOMENTS)
        self.key = exchange.request.key
        self._exchange = exchange
        self._left = draw.randint(1, 4 if self.moment == "meanwhile" else 25)
        self._arriving = threading.Lock()
        self._arrived = False

    def pass_by(self, moment: str) -> None:
        """Another request comes at a moment."""
        if moment == self.moment:
            self._left -= 1
            if self._left == 0:
                self.arrive()

    def arrive(self) -> None:
        """Carry it out, unless it was before."""
        with self._arriving:
            if not self._arrived:
                self._arrived = True
                try:
                    self._exchange.forward()
                except (OSError, HTTPException) as error:
                    raise AssertionError(f"the server does not answer: {error}") from error


def moment(case: Case) -> str:
    """When a request of a case's first fault arrives, if it comes late."""
    return _draw(case, 0).choice(MOMENTS)


def _draw(case: Case, attempt: int) -> Random:
    return Random(f"{case} {attempt}")


class Attempt:
    """A command with a fault at one of its requests: `meet` is given to its proxy.

    Args:
        shot: the fault happens at the first request from this number on to which it can happen.
        draw: draws when late requests arrive.
    """

    def __init__(self, site: Site, shot: Shot, draw: Random) -> None:
        self.fault: Fault = FAULTS[shot.fault]
        self.draw = draw
        self.hit: Request | None = None
        self.late: list[Late] = []
        self.foreign: list[str] = []
        """The keys of log entries of another tool."""
        self._site = site
        self._number = shot.request
        self._tries = 0
        self._client: Client | None = None
        self._choosing = threading.Lock()

    def begin(self, client: Client) -> None:
        """The client has been started."""
        self._client = client

    @property
    def client(self) -> Client:
        """The client, once it has been started: its first request may come before we know."""
        while self._client is None:
            time.sleep(0.001)
        return self._client

    def meet(self, exchange: Exchange) -> None:
        """Answer a request of the client, or let the fault happen to it."""
        for late in self.late:
            late.pass_by("meanwhile")
        tries = self._chosen(exchange.request)
        if not tries:
            exchange.answer(exchange.forward())
        elif tries > 1 and self.fault.again is not None:
            self.fault.again(exchange, self)
        else:
            self.fault.happen(exchange, self)

    def _chosen(self, request: Request) -> int:
        """Which try of the request that meets the fault this is; 0 if the fault is not for it."""
        with self._choosing:
            if self.hit is None:
                if request.number < self._number or not self.fault.applies(request):
                    return 0
                self.hit = request
            elif self._tries >= self.fault.tries or not self.fault.same(self.hit, request):
                return 0
            self._tries += 1
            return self._tries

    # -- what a fault can do (see `faults.Stage`) --------------------------------------------

    def kill(self) -> None:
        """Kill the client."""
        self.client.kill()

    def sleep(self) -> None:
        """Stop the client until it is woken."""
        self.client.sleep()

    def later(self, exchange: Exchange) -> None:
        """Let a request arrive later."""
        self.late.append(Late(exchange, self.draw))

    def commit_elsewhere(self, request: Request) -> None:
        """Make an entry of another tool where a request is about to make one.

        Nothing if the request copies an entry of a table that moves: nobody knows the new one.
        """
        there, name = self._site.sizes(), request.key.rpartition("/")[2]
        same = (k for k in there if k.endswith(f"/{name}"))
        if request.key not in there and all(self._site.read(k) != request.body for k in same):
            self._site.put(request.key, _FOREIGN)
            self.foreign.append(request.key)


class Trial:
    """Tries cases of scenarios at a site.

    Args:
        patch: Python code that plants a defect into every command.
    """

    def __init__(self, site: Site, patch: str = "") -> None:
        self._site = site
        self._patch = patch

    def refer(self, scenario: Scenario) -> Reference:
        """Do a scenario without a fault.

        Raises:
            AssertionError: it fails.
        """
        requests = self.requests(scenario)
        found = Findings()
        self._recover(scenario, found, [])
        rows = self._judge(found, [], {})
        assert not found.complaints, f"{scenario.name}: {found.complaints}"
        return Reference(requests, rows)

    def requests(self, scenario: Scenario) -> Sequence[Request]:
        """Do the command of a scenario without a fault; returns its requests.

        Raises:
            AssertionError: it fails.
        """
        self._site.restore(scenario.image)
        with self._site.proxy() as proxy:
            client = self._site.start(proxy, scenario.words, False, self._patch)
            beside = self._beside(scenario, impatient=False)
            code = client.wait()
            if beside:
                beside.wait()
            assert code == 0, f"{scenario.name} fails without a fault: {client.said()}"
            return list(proxy.requests)

    def attempt(self, scenario: Scenario, case: Case, reference: Reference) -> Verdict:
        """Try a case."""
        found = Findings()
        self._site.restore(scenario.image)
        late: list[Late] = []
        foreign: list[str] = []
        for number, shot in enumerate(case.shots):
            draw = _draw(case, number)
            words = scenario.words if number == 0 else scenario.then[0]
            attempt = Attempt(self._site, shot, draw)
            self._meet(scenario, words, attempt, found)
            late += attempt.late
            foreign += attempt.foreign
            if attempt.hit is None:
                break
        if found.hits:
            began = time.monotonic()
            for one in late:
                if one.moment in ("meanwhile", "ended"):
                    one.arrive()
            self._recover(scenario, found, late)
            found.seconds.append(time.monotonic() - began)
            self._judge(found, late, reference.rows)
            for key in foreign:
                if self._site.read(key) != _FOREIGN:
                    found.complaints.append(f"{key} of another tool was replaced")
        return found.verdict(case)

    def _meet(self, scenario: Scenario, words: Words, attempt: Attempt, found: Findings) -> None:
        """Do a command that meets a fault, and what runs beside it."""
        fault = attempt.fault
        with self._site.proxy(attempt.meet) as proxy:
            client = self._site.start(proxy, words, fault.sleeps, self._patch)
            attempt.begin(client)
            beside = self._beside(scenario, fault.sleeps)
            while fault.sleeps and not client.asleep.wait(0.02) and client.runs():
                pass
            if client.asleep.is_set():
                time.sleep(2 * LEASE_SECONDS)
                self._rival(scenario, found)
                client.wake()
            code = client.wait()
            if beside:
                self._note("beside", beside, beside.wait(), found, fails=True)
        if attempt.hit is not None:
            found.hits += 1
            found.sites.append(attempt.hit.site)
        if code == _KILLED and fault.deadly and attempt.hit:
            found.depth += 1
            return
        if scenario.done and scenario.done.search(client.said()):
            return
        # Who runs beside may hold what a recovery asks for.
        fails = bool(beside) or (attempt.hit is not None and (fault.fails or fault.sleeps))
        self._note(" ".join(words), client, code, found, fails)

    def _beside(self, scenario: Scenario, impatient: bool) -> Client | None:
        if not scenario.beside:
            return None
        return self._site.start(self._site.plain, scenario.beside, impatient, self._patch)

    def _rival(self, scenario: Scenario, found: Findings) -> None:
        rival = self._site.start(self._site.plain, scenario.then[0], True, self._patch, True)
        code = rival.wait()
        if not (scenario.done and scenario.done.search(rival.said())):
            self._note("rival", rival, code, found, fails=True)

    def _recover(self, scenario: Scenario, found: Findings, late: Sequence[Late]) -> None:
        """Do what recovers, until nothing is left to do; what is still under way arrives."""
        if scenario.edit:
            (self._site.project / DECLARED).write_text(scenario.edit, encoding="utf-8")

        def meet(exchange: Exchange) -> None:
            for one in late:
                one.pass_by("recovering")
            exchange.answer(exchange.forward())

        with self._site.proxy(meet) as proxy:
            for words in scenario.then:
                # What arrives during a recovery may make it fail, but not the next one.
                under_way = any(one.moment == "recovering" for one in late)
                client = self._site.start(proxy, words, False, self._patch)
                code = client.wait()
                if not (scenario.done and scenario.done.search(client.said())):
                    self._note(f"{' '.join(words)} again", client, code, found, under_way)
        for one in late:
            one.arrive()
        if late:
            client = self._site.start(self._site.plain, RUN, False, self._patch)
            self._note("run in the end", client, client.wait(), found, fails=False)
        before = self._site.sizes()
        client = self._site.start(self._site.plain, RUN, False, self._patch)
        self._note("run in the end", client, client.wait(), found, fails=False)
        if (after := self._site.sizes()) != before:
            new = ", ".join(sorted(after.keys() ^ before.keys())) or "an object"
            found.complaints.append(f"an update that has nothing to do changes {new}")

    def _note(self, what: str, client: Client, code: int, found: Findings, fails: bool) -> None:
        """Note how a command has ended, and complain if no fault explains it."""
        said = client.said()
        codes = sorted(set(_CODE.findall(said))) if code else []
        found.errors += codes
        wrong = "Traceback" in said or "defect of Qanat" in said or set(codes) - _EXPLAINED
        if wrong or code not in ((0, 1) if fails else (0,)):
            found.complaints.append(f"{what}: exit code {code}: {said[-1500:]}")

    def _judge(self, found: Findings, late: Sequence[Late], wanted: Rows) -> Rows:
        left = look(self._site)
        for key in left.orphans:
            moments = [one.moment for one in late if one.key == key]
            if moments:
                found.errors += [f"{LATE_LEFT}: {moment}" for moment in moments]
            else:
                found.complaints.append(f"{key} is in no version of a table")
        found.complaints += left.complaints
        found.complaints += leftovers(self._site.project)
        found.complaints += misbooked(self._site, self._site.project.parent / "books.json")
        found.errors += [UPLOAD_LEFT] * left.uploads
        if wanted:
            wrong, found.lost, found.doubled = compare(wanted, left.rows)
            found.complaints += wrong
        return left.rows
