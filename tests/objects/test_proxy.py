"""The proxy of the object store's crash test: what it does to a client's requests."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from random import Random

import obstore
import pytest
from deltalake import DeltaTable, write_deltalake
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store
from pyarrow import table

from tests.objects.faults import FAULTS, Case, cases
from tests.objects.proxy import Exchange, Proxy, Request
from tests.objects.site import Site
from tests.objects.trial import Attempt, Late, Shot

pytestmark = pytest.mark.services

ENTRY = "shop/tables/t/_delta_log/00000000000000000001.json"


class Killed:
    """Stands in for a client: remembers what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("killed")

    def sleep(self) -> None:
        self.done.append("slept")


def attempt(bucket: Site, fault: str, number: int = 1) -> tuple[Attempt, Killed]:
    made, client = Attempt(bucket, Shot(fault, number), Random(1)), Killed()
    made.begin(client)  # type: ignore[arg-type]
    return made, client


def store(proxy: Proxy, retries: int = 0) -> S3Store:
    return S3Store(
        "lake",
        endpoint=proxy.endpoint,
        region="us-east-1",
        access_key_id="testing",
        secret_access_key="testing",  # noqa: S106 - of a server that asks for none
        client_options={"allow_http": True},
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=30)},
    )


def test_requests_pass_and_are_numbered(bucket: Site) -> None:
    with bucket.proxy() as proxy:
        client = store(proxy)
        obstore.put(client, "a/ä b%.txt", b"hello", use_multipart=False)
        assert bytes(obstore.get(client, "a/ä b%.txt").bytes()) == b"hello"
        assert obstore.head(client, "a/ä b%.txt")["size"] == 5
        found = [m["path"] for page in obstore.list(client, "a") for m in page]
        obstore.delete(client, "a/ä b%.txt")
    assert found == ["a/ä b%.txt"]
    assert [(r.number, r.site) for r in proxy.requests][:4] == [
        (1, "PUT a/ä b%.txt"),
        (2, "GET a/ä b%.txt"),
        (3, "HEAD a/ä b%.txt"),
        (4, "GET below a/"),
    ]
    assert bucket.sizes() == {}


def test_a_file_is_sent_in_parts(bucket: Site, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(Random(1).randbytes(12 * 2**20))
    with bucket.proxy() as proxy:
        obstore.put(store(proxy), "large", file, chunk_size=5 * 2**20)
    assert bucket.read("large") == file.read_bytes()
    assert sum(r.method == "PUT" for r in proxy.requests) == 3
    assert bucket.uploads() == []


def test_an_upload_that_nobody_ends_is_counted(bucket: Site, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(12 * 2**20))
    made, client = attempt(bucket, "kill-before", 3)
    with bucket.proxy(made.meet) as proxy, pytest.raises(BaseError):
        obstore.put(store(proxy), "large", file, chunk_size=5 * 2**20)
    assert client.done == ["killed"]
    # This client lives, and may have given the upload up; a killed one cannot.
    assert [key for key, _ in bucket.uploads()] in ([], ["large"])


def test_a_delta_table_through_the_proxy(bucket: Site) -> None:
    with bucket.proxy() as proxy:
        options = bucket.environment | {"AWS_ENDPOINT_URL": proxy.endpoint}
        url = f"{bucket.storage}/tables/t"
        for n in range(2):
            write_deltalake(url, table({"n": [n]}), mode="append", storage_options=options)
        rows = DeltaTable(url, storage_options=options).to_pyarrow_table().to_pylist()
    assert sorted(r["n"] for r in rows) == [0, 1]
    assert [r.key for r in proxy.requests if r.commits][-1] == ENTRY


@pytest.mark.parametrize(
    ("fault", "there", "retries"),
    [
        ("kill-before", False, 0),
        ("kill-after", True, 0),
        ("kill-late", False, 0),
        ("lost", True, 0),
        ("lost-all", True, 0),
        ("lost-outage", True, 0),
        ("late", False, 0),
        ("late-all", False, 0),
        ("late-outage", False, 0),
        ("reset", False, 0),
        ("outage", False, 1),
        ("throttle", False, 1),
        ("throttle-all", False, 3),
        ("error500", False, 0),
        ("error500-after", True, 0),
    ],
)
def test_a_client_that_gives_up(bucket: Site, fault: str, there: bool, retries: int) -> None:
    """It hears of no answer, and the object is there or not."""
    made, client = attempt(bucket, fault)
    with bucket.proxy(made.meet) as proxy:
        with pytest.raises(BaseError):
            obstore.put(store(proxy, retries), "a", b"1", use_multipart=False)
        assert ("a" in bucket.sizes()) is there
        assert made.hit is not None
        assert client.done == (["killed"] if FAULTS[fault].deadly else [])
        for late in made.late:
            late.arrive()
        assert ("a" in bucket.sizes()) is (there or "late" in fault)


@pytest.mark.parametrize("fault", ["reset", "throttle", "error500", "lost", "late"])
def test_a_client_that_tries_again(bucket: Site, fault: str) -> None:
    made, _ = attempt(bucket, fault)
    with bucket.proxy(made.meet) as proxy:
        obstore.put(store(proxy, 4), "a", b"1", use_multipart=False)
    assert bucket.read("a") == b"1"
    assert len(proxy.requests) == 1 + FAULTS[fault].tries


def test_half_an_answer_is_none(bucket: Site) -> None:
    bucket.put("a", b"whole" * 100)
    made, _ = attempt(bucket, "torn")
    with bucket.proxy(made.meet) as proxy:
        with pytest.raises(BaseError):
            obstore.get(store(proxy), "a").bytes()
        assert bytes(obstore.get(store(proxy), "a").bytes()) == b"whole" * 100


@pytest.mark.parametrize("fault", ["sleep-before", "sleep-after"])
def test_a_client_that_sleeps_and_goes_on(bucket: Site, fault: str) -> None:
    made, client = attempt(bucket, fault)
    with bucket.proxy(made.meet) as proxy:
        obstore.put(store(proxy), "a", b"1", use_multipart=False)
    assert client.done == ["slept"]


def test_a_foreign_commit_comes_first(bucket: Site) -> None:
    made, _ = attempt(bucket, "conflict")
    with bucket.proxy(made.meet) as proxy:
        client = store(proxy)
        obstore.put(client, "shop/x.json", b"1", mode="create", use_multipart=False)
        assert made.hit is None
        with pytest.raises(AlreadyExistsError):
            obstore.put(client, ENTRY, b"2", mode="create", use_multipart=False)
    assert b"another tool" in bucket.read(ENTRY)


def test_a_late_put_finds_what_was_put_meanwhile(bucket: Site) -> None:
    """The server decides when it arrives: a condition that held when it was sent is void."""
    made, _ = attempt(bucket, "late-all")
    with bucket.proxy(made.meet) as proxy, pytest.raises(BaseError):
        obstore.put(store(proxy), ENTRY, b"1", mode="create", use_multipart=False)
    bucket.put(ENTRY, b"2")
    for late in made.late:
        late.arrive()
    assert bucket.read(ENTRY) == b"2"


def test_a_late_request_arrives_once_at_its_moment(bucket: Site) -> None:
    with bucket.proxy() as proxy:
        request = Request(1, "PUT", "/lake/late", [("Host", "x"), ("Content-Length", "1")], b"1")
        server = bucket.environment["AWS_ENDPOINT_URL"].removeprefix("http://")
        exchange = Exchange(request, None, server)  # type: ignore[arg-type]
        late = Late(exchange, Random(1))
        late.moment = "recovering"
        for _ in range(100):
            late.pass_by("meanwhile")
        assert "late" not in bucket.sizes()
        for _ in range(100):
            late.pass_by("recovering")
        assert "late" in bucket.sizes()
        obstore.delete(store(proxy), "late")
        late.arrive()
    assert "late" not in bucket.sizes()


def test_two_creations_at_once_make_one_object(bucket: Site) -> None:
    made = []

    def create(n: int) -> None:
        try:
            obstore.put(store(proxies[n % 2]), "a", b"%d" % n, mode="create", use_multipart=False)
            made.append(n)
        except AlreadyExistsError:
            pass

    with bucket.proxy() as one, bucket.proxy() as other:
        proxies = (one, other)
        threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1
    assert bucket.read("a") == b"%d" % made[0]


def test_cases_are_drawn_for_the_requests_that_they_can_happen_to() -> None:
    requests = [
        Request(1, "GET", "/lake/shop/tables/t/_delta_log/1.json", (), b""),
        Request(2, "PUT", f"/lake/{ENTRY}", (("If-None-Match", "*"),), b""),
        Request(3, "PUT", f"/lake/{ENTRY[:-6]}0.json", (("If-None-Match", "*"),), b""),
    ]
    found = [str(c) for c in cases("append", requests, ["conflict", "lost", "kill-before"], 7)]
    assert found == [
        "append kill-before@1 #7",
        "append kill-before@2 #7",
        "append kill-before@3 #7",
        "append lost@2 #7",
        "append lost@3 #7",
        "append conflict@2 #7",
    ]
    assert [str(Case.parse(c)) for c in found] == found
