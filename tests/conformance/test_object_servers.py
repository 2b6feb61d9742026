"""What the object stores that tests start promise, each asked through obstore.

A test that trusts a condition has to know that the server enforces it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError
from obstore.store import ObjectStore, from_url

from qanat.testing.azurite import azurite
from qanat.testing.gcs import gcs
from qanat.testing.ministack import ministack
from qanat.testing.object_store import object_store
from qanat.testing.seaweedfs import seaweedfs
from qanat.testing.server import ObjectServer
from tests.unconditional import unconditional

pytestmark = pytest.mark.services

SERVERS: list[Callable[[], AbstractContextManager[ObjectServer]]] = [
    object_store,
    ministack,
    seaweedfs,
    azurite,
    gcs,
]
KEYS = ["a b", "50%", "%41", "a=b/c", "ü€/日本", "a+b", "a&b#c?d", "12:30", "~'()*!@$,;"]
PART = 5 * 2**20  # S3 takes no smaller part, but as the last one
RIVALS = 20


@pytest.fixture(scope="module", params=SERVERS, ids=lambda one: one.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[ObjectServer]:
    with request.param() as running:
        running.create_bucket("lake")
        yield running


@pytest.fixture
def store(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return from_url(f"{server.url}lake")


def content(store: ObjectStore, key: str) -> bytes:
    return bytes(obstore.get(store, key).bytes())


def keys(store: ObjectStore, prefix: str, offset: str | None = None) -> list[str]:
    pages = obstore.list(store, prefix, offset=offset)
    return [meta["path"] for page in pages for meta in page]


def test_a_second_create_is_refused_until_the_first_is_deleted(store: ObjectStore) -> None:
    obstore.put(store, "create/1", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "create/1", b"second", mode="create")
    assert content(store, "create/1") == b"first"
    obstore.delete(store, "create/1")
    obstore.put(store, "create/1", b"third", mode="create")
    assert content(store, "create/1") == b"third"


def test_of_creates_that_race_one_wins(store: ObjectStore) -> None:
    together = threading.Barrier(RIVALS)

    def create(rival: int) -> int | None:
        together.wait()
        try:
            obstore.put(store, "race/1", str(rival).encode(), mode="create")
        except AlreadyExistsError:
            return None
        return rival

    with ThreadPoolExecutor(RIVALS) as pool:
        winners = [one for one in pool.map(create, range(RIVALS)) if one is not None]
    assert [str(one).encode() for one in winners] == [content(store, "race/1")]


def test_a_large_object_is_created_once(store: ObjectStore) -> None:
    # obstore puts it in one request, whatever `use_multipart` says: only a plain put has a mode.
    large = os.urandom(PART * 2 + 17)
    obstore.put(store, "large", large, mode="create")
    assert content(store, "large") == large
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "large", bytes(len(large)), mode="create")
    assert content(store, "large") == large


def test_a_copy_to_an_object_that_exists_is_refused_or_not_known(store: ObjectStore) -> None:
    obstore.put(store, "copy/1", b"first")
    obstore.put(store, "copy/2", b"second")
    # The client of S3 has no such copy.
    with pytest.raises((AlreadyExistsError, NotSupportedError)):
        obstore.copy(store, "copy/1", "copy/2", overwrite=False)
    assert content(store, "copy/2") == b"second"


def test_an_upload_in_parts_replaces(store: ObjectStore) -> None:
    obstore.put(store, "parts/2", b"before")
    large = os.urandom(PART + 1)
    obstore.put(store, "parts/2", large, use_multipart=True, chunk_size=PART)
    assert content(store, "parts/2") == large


def test_lists_are_complete_and_in_order_and_begin_after_an_offset(store: ObjectStore) -> None:
    # More than S3 and Azure give in one page of 1000 or 5000.
    names = [f"list/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: obstore.put(store, key, b"x"), names))
    assert keys(store, "list") == names
    assert keys(store, "list", offset=names[49]) == names[50:]
    assert keys(store, "list", offset="list/0049a") == names[50:]


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_kept_as_they_are(store: ObjectStore, name: str) -> None:
    key = f"keys/{name}"
    obstore.put(store, key, name.encode(), mode="create")
    assert content(store, key) == name.encode()
    assert key in keys(store, "keys")
    beside = obstore.list_with_delimiter(store, key.rpartition("/")[0])
    assert key in [meta["path"] for meta in beside["objects"]]
    obstore.copy(store, key, f"copies/{name}")
    assert content(store, f"copies/{name}") == name.encode()
    obstore.delete(store, key)
    assert key not in keys(store, "keys")
    with pytest.raises(FileNotFoundError):
        obstore.head(store, key)


def test_several_are_deleted_at_once(store: ObjectStore) -> None:
    for key in ("gone/1", "gone/2", "gone/3"):
        obstore.put(store, key, b"x")
    obstore.delete(store, ["gone/1", "gone/3"])
    assert keys(store, "gone") == ["gone/2"]


def test_an_object_is_read_and_replaced_on_the_condition_of_its_tag(store: ObjectStore) -> None:
    obstore.put(store, "tag", b"first")
    meta = obstore.head(store, "tag")
    tag = meta["e_tag"]
    assert tag is not None
    # Google knows a state by its generation, the others by its tag; obstore takes no None.
    state = {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}
    assert bytes(obstore.get(store, "tag", options={"if_match": tag}).bytes()) == b"first"
    obstore.put(store, "tag", b"second", mode=state)
    with pytest.raises(PreconditionError):
        obstore.get(store, "tag", options={"if_match": tag})
    with pytest.raises(PreconditionError):
        obstore.put(store, "tag", b"third", mode=state)
    assert content(store, "tag") == b"second"


def test_ranges(store: ObjectStore) -> None:
    obstore.put(store, "range", b"0123456789")
    assert bytes(obstore.get_range(store, "range", start=2, end=5)) == b"234"


def test_a_server_without_conditions_takes_a_second_create(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with object_store() as behind, unconditional(behind) as server:
        server.create_bucket("lake")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = from_url("s3://lake")
        obstore.put(store, "a b/1", b"first", mode="create")
        obstore.put(store, "a b/1", b"second", mode="create")
        assert content(store, "a b/1") == b"second"
        assert obstore.head(store, "a b/1")["size"] == 6
        assert keys(store, "a b") == ["a b/1"]
        obstore.delete(store, "a b/1")
        assert keys(store, "a b") == []
