"""The object store's crash test finds planted defects, and nothing where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import pytest

from qanat.testing.object_store import object_store
from tests.objects.faults import FAULTS, Case, Shot
from tests.objects.projects import Maker, Scenario
from tests.objects.proxy import Request
from tests.objects.site import Site
from tests.objects.trial import Reference, Trial, moment

pytestmark = [pytest.mark.crash, pytest.mark.services]

COMMIT = r"_delta_log/\*\.json"
DATA = r"\.parquet"
MOST = 25
"""How many cases may be tried until one finds a defect."""


@dataclass(frozen=True)
class Defect:
    """A patch that plants a defect, and the cases that must find it.

    Args:
        patch: Python code that changes Qanat.
        says: what a complaint must match.
        kinds: of the cases, tried in random order.
        site: what the requests must match.
        scenario: what meets the faults.
        moment: when late requests arrive; any if empty.
    """

    patch: str
    says: str
    kinds: tuple[str, ...]
    site: str = COMMIT
    scenario: str = "append"
    moment: str = ""


PLANTED = {
    "an entry is put without a condition": Defect(
        "import obstore\n"
        "from qanat.objects import Objects\n"
        "from qanat.storage.delta.remote import Remote\n"
        "def create(self, url, content):\n"
        "    return obstore.put(self.store(url), url.key, content)['e_tag'] or ''\n"
        "Objects.create = create\n"
        "Remote.check_conditional = lambda *_: None\n",
        "of another tool was replaced|is in no version|has None bytes",
        ("conflict", "sleep-before"),
    ),
    "who takes over makes no fence": Defect(
        "from qanat.storage.delta.remote_log import RemoteLog\n"
        "RemoteLog.fence = lambda self: None\n",
        "has None bytes|is in no version|rows lost|cannot be read|exit code",
        ("kill-late",),
        scenario="edited",
        moment="recovering",
    ),
    "what is in doubt is forgotten": Defect(
        "from qanat.storage.delta.remote_log import RemoteLog\n"
        "def resolve(self):\n"
        "    self._doubt = None\n"
        "RemoteLog._resolve = resolve\n",
        "has None bytes|is in no version|rows lost|cannot be read|exit code",
        ("late-all",),
    ),
    "who finds its version taken takes the next one": Defect(
        "from qanat.storage.delta.remote_log import RemoteLog\n"
        "real = RemoteLog.create\n"
        "def create(self, version, content, gate):\n"
        "    while not real(self, version, content, gate):\n"
        "        version += 1\n"
        "    return True\n"
        "RemoteLog.create = create\n",
        "which was at|has None bytes|rows lost",
        ("sleep-before",),
    ),
    "leftovers are left": Defect(
        "from qanat.storage.delta.remote import RemoteFiles\n"
        "RemoteFiles.sweep = lambda self, *rest: 0\n",
        "is in no version",
        ("kill-after",),
        DATA,
    ),
    "files are named before they are there": Defect(
        "from qanat.storage.delta.remote import RemoteFiles\n"
        "real = RemoteFiles.put\n"
        "def upload(self, files):\n"
        "    self.waiting = [*getattr(self, 'waiting', ()), *files]\n"
        "def put(self, *given, **named):\n"
        "    made = real(self, *given, **named)\n"
        "    for file in self.__dict__.pop('waiting', ()):\n"
        "        self._upload(file)\n"
        "    return made\n"
        "RemoteFiles.upload, RemoteFiles.put = upload, put\n",
        "has None bytes",
        ("kill-after",),
    ),
}

Known = Mapping[str, tuple[Scenario, Reference]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("objects") / "site"
    with object_store() as server, Site(folder, server.environment) as made:
        yield made


@pytest.fixture(scope="module")
def known(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Known:
    made = Maker(site, tmp_path_factory.mktemp("images")).all(["append", "edited"])
    return {s.name: (s, Trial(site).refer(s)) for s in made}


def test_requests_of_every_kind_meet_faults(known: Known) -> None:
    sites = "\n".join(r.site for r in known["append"][1].requests)
    for kind in (COMMIT, DATA, r"\.checkpoint\.parquet", "_last_checkpoint", "_qanat_probe"):
        assert re.search(f"PUT .*{kind}", sites), kind


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(site: Site, known: Known, defect: str) -> None:
    planted = PLANTED[defect]
    scenario, reference = known[planted.scenario]
    trial, tried = Trial(site, planted.patch), []
    for case in drawn(scenario, trial.requests(scenario), planted):
        verdict = trial.attempt(scenario, case, reference)
        tried.append(verdict)
        if any(re.search(planted.says, c) for c in verdict.complaints):
            return
    pytest.fail(f"none complained: {tried}")


def test_nothing_is_found_where_nothing_is_wrong(site: Site, known: Known) -> None:
    scenario, reference = known["append"]
    kinds = ("kill-after", "kill-late", "lost-outage", "conflict", "sleep-before", "throttle-all")
    found = []
    for kind in kinds:
        case = next(drawn(scenario, reference.requests, Defect("", "", (kind,))))
        found.append(Trial(site).attempt(scenario, case, reference))
    assert {v.case: v.complaints for v in found if v.complaints} == {}
    assert all(v.hits and v.seconds for v in found)


def drawn(scenario: Scenario, requests: Sequence[Request], defect: Defect) -> Iterator[Case]:
    """Cases of a defect's kinds at its requests, in random order."""
    found = [
        Case(scenario.name, (Shot(kind, request.number),), 5)
        for kind in defect.kinds
        for request in requests
        if FAULTS[kind].applies(request) and re.search(defect.site, request.site)
    ]
    # A late request arrives at a moment that is drawn by the case's seed: try several.
    several = [Case(c.scenario, c.shots, seed) for c in found for seed in range(9)]
    fitting = [c for c in several if defect.moment in ("", moment(c))]
    Random(5).shuffle(fitting)
    yield from fitting[:MOST]
