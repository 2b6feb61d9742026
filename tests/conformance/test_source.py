"""What every source of files promises, over a local folder and over a real S3 server."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

from qanat.connectors.files.source import FilesSource
from qanat.errors import (
    FileChangedError,
    FileUnreadableError,
    FileVanishedError,
    SourceNotFoundError,
)
from qanat.model.pipeline import Drift
from qanat.model.record import Range
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch
from qanat.testing.object_store import ObjectStore, object_store
from qanat.testing.reading import RememberedPast, reference, surroundings


class Landing(Protocol):
    """Where files arrive: `path` is what an author writes."""

    source: FilesSource

    def path(self, relative: str) -> str: ...
    def put(self, relative: str, content: bytes) -> None: ...
    def delete(self, relative: str) -> None: ...
    def touch(self, relative: str) -> None: ...


class LocalLanding:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._clock = 1_700_000_000
        self.source = FilesSource(surroundings(root))

    def path(self, relative: str) -> str:
        return relative

    def put(self, relative: str, content: bytes) -> None:
        file = self._root / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.touch(relative)

    def delete(self, relative: str) -> None:
        (self._root / relative).unlink()

    def touch(self, relative: str) -> None:
        self._clock += 10
        os.utime(self._root / relative, (self._clock, self._clock))


class S3Landing:
    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store, self._bucket = store, bucket
        self._content: dict[str, bytes] = {}
        store.create_bucket(bucket)
        self.source = FilesSource(surroundings(Path("/nowhere")))

    def path(self, relative: str) -> str:
        return f"s3://{self._bucket}/{relative}"

    def put(self, relative: str, content: bytes) -> None:
        self._content[relative] = content
        self._store.put(self._bucket, relative, content)

    def delete(self, relative: str) -> None:
        self._store.delete(self._bucket, relative)

    def touch(self, relative: str) -> None:
        self.put(relative, self._content[relative])


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.services)])
def landing(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Landing:
    if request.param == "local":
        return LocalLanding(tmp_path)
    store: ObjectStore = request.getfixturevalue("s3")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return S3Landing(store, f"b{uuid4().hex}")


class Flow:
    """A reader that remembers as a ledger does."""

    def __init__(self, landing: Landing, path: str, scratch: Path, **options: object) -> None:
        self.source = landing.source
        self.ref = reference("files", landing.path(path), **options)
        self.scratch = scratch
        self.past = RememberedPast()

    def unread(self) -> Range | None:
        found = self.source.plan(self.ref, self.past)
        return None if found is None else found.range

    def fetch(self, range: Range) -> FilesBatch:
        bound = self.source.bind(self.ref, range, NO_COLUMNS, Drift.EVOLVE, self.scratch)
        assert isinstance(bound.batch, FilesBatch)
        return bound.batch

    def settle(self, range: Range) -> None:
        self.past.settle(self.source.verify(self.ref, range))

    def update(self) -> dict[str, bytes]:
        """One update: the content of the files it read, by name."""
        range = self.unread()
        if range is None:
            return {}
        batch = self.fetch(range)
        content = {f.path.rpartition("/")[2]: Path(f.local).read_bytes() for f in batch.files}
        self.settle(range)
        return content


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_each_file_is_read_once(landing: Landing, scratch: Path) -> None:
    landing.put("in/2.csv", b"a\n2\n")
    landing.put("in/1.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    assert list(flow.update().items()) == [("1.csv", b"a\n1\n"), ("2.csv", b"a\n2\n")]
    assert flow.update() == {}
    landing.put("in/0.csv", b"a\n0\n")
    assert flow.update() == {"0.csv": b"a\n0\n"}
    assert flow.update() == {}


def test_a_folder_has_its_direct_files(landing: Landing, scratch: Path) -> None:
    for name in ("in/a.csv", "in/deep/b.csv", "in/_SUCCESS", "in/.hidden.csv", "in/_tmp/c.csv"):
        landing.put(name, b"a\n")
    assert set(Flow(landing, "in", scratch).update()) == {"a.csv"}
    assert set(Flow(landing, "in/", scratch, recursive=True).update()) == {"a.csv", "b.csv"}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("in/2026/*.csv", {"a.csv", "b.csv"}),
        ("in/**/*.csv", {"a.csv", "b.csv", "c.csv", "d.csv", "e.csv"}),
        ("in/**", {"a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "x.json"}),
        ("in/{2026,2027}/[ab].csv", {"a.csv", "b.csv"}),
        ("in/{2026/a,2027/*}.csv", {"a.csv", "c.csv"}),
        ("in/*/?.csv", {"a.csv", "b.csv", "c.csv"}),
        ("in/**/deep/*", {"d.csv"}),
        ("in/*.parquet", set()),
    ],
)
def test_patterns(landing: Landing, scratch: Path, pattern: str, names: set[str]) -> None:
    for name in ("2026/a.csv", "2026/b.csv", "2027/c.csv", "2027/deep/d.csv", "e.csv", "x.json"):
        landing.put(f"in/{name}", b"1\n")
    found = Flow(landing, pattern, scratch, format="csv").unread()
    assert {f.path.rpartition("/")[2] for f in found.files} == names if found else not names
    everything = landing.source.everything(reference("files", landing.path(pattern)))
    assert len(everything.files if everything else ()) == len(names)


def test_a_file_that_is_gone_after_reading_is_no_matter(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"a\n1\n")
    landing.put("in/b.csv", b"a\n1\n")
    flow, single = Flow(landing, "in/*.csv", scratch), Flow(landing, "in/a.csv", scratch)
    assert len(flow.update()) == 2
    assert len(single.update()) == 1
    landing.delete("in/a.csv")
    assert flow.update() == {}
    assert single.update() == {}


def test_a_file_that_is_gone_before_reading(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    range = flow.unread()
    assert range is not None
    landing.delete("in/a.csv")
    with pytest.raises(FileVanishedError, match=r"a\.csv"):
        flow.fetch(range)


def test_files_for_rows_to_be_parsed_again(landing: Landing, scratch: Path) -> None:
    for name in "abc":
        landing.put(f"in/{name}.csv", b"a\n1\n")
    flow = Flow(landing, "in", scratch)
    assert len(flow.update()) == 3
    landing.put("in/new.csv", b"a\n1\n")
    landing.delete("in/b.csv")
    landing.put("in/c.csv", b"b\n1\n")
    paths = [f.path for f in landing.source.everything(flow.ref).files]  # type: ignore[union-attr]
    absolute = [str(scratch.parent / p) if "://" not in p else p for p in paths]
    gone = absolute[0].replace("a.csv", "b.csv")
    batch = landing.source.again(
        flow.ref, flow.past, [*absolute, gone], NO_COLUMNS, Drift.EVOLVE, scratch
    )
    found = {f.path.rpartition("/")[2]: bool(f.local) for f in batch.files}
    assert found == {"a.csv": True, "b.csv": False, "c.csv": False}
    assert {f.size for f in batch.files} == {4}
    assert batch.format == "csv"


def test_a_file_that_changed_before_reading(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    range = flow.unread()
    assert range is not None
    landing.put("in/a.csv", b"a\n2\n")
    with pytest.raises(FileVanishedError, match="has changed"):
        flow.fetch(range)


def test_a_file_that_grows_while_it_is_read(landing: Landing, scratch: Path) -> None:
    """Either the growth is refused, or what was read is a copy from before."""
    landing.put("in/a.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    range = flow.unread()
    assert range is not None
    batch = flow.fetch(range)
    landing.put("in/a.csv", b"a\n1\n2\n")
    if Path(batch.files[0].local).read_bytes() == b"a\n1\n":
        flow.settle(range)
        with pytest.raises(FileChangedError, match="come back"):
            flow.update()
    else:
        with pytest.raises(FileChangedError, match="still being written"):
            flow.settle(range)
        assert flow.update() == {"a.csv": b"a\n1\n2\n"}


def test_a_name_that_returns_with_new_content(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    flow.update()
    landing.put("in/a.csv", b"a\n2\n")
    with pytest.raises(FileChangedError) as caught:
        flow.update()
    assert "a.csv" in caught.value.message
    assert "on_overwrite => 'append'" in (caught.value.hint or "")
    flow.ref = reference("files", flow.ref.place, allow_overwrites=True)
    assert flow.update() == {"a.csv": b"a\n2\n"}
    assert flow.update() == {}


def test_a_touched_file_stays_read(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch)
    flow.update()
    landing.touch("in/a.csv")
    assert flow.update() == {}


def test_thousands_of_files(landing: Landing, scratch: Path) -> None:
    many = 2_000 if isinstance(landing, LocalLanding) else 1_100  # S3 lists 1,000 a page
    for n in range(many):
        landing.put(f"in/{n:05}.csv", b"a\n%d\n" % n)
    flow = Flow(landing, "in/*.csv", scratch)
    content = flow.update()
    assert list(content.values()) == [b"a\n%d\n" % n for n in range(many)]
    landing.put("in/99999.csv", b"a\n9\n")
    assert flow.update() == {"99999.csv": b"a\n9\n"}


def test_an_epoch_takes_no_more_than_it_may(landing: Landing, scratch: Path) -> None:
    for n in range(5):
        landing.put(f"in/{n}.csv", b"0123456789")
    by_count = Flow(landing, "in/*.csv", scratch, maxFilesPerTrigger=2)
    assert [list(by_count.update()) for _ in range(4)] == [
        ["0.csv", "1.csv"],
        ["2.csv", "3.csv"],
        ["4.csv"],
        [],
    ]
    by_size = Flow(landing, "in/*.csv", scratch, max_bytes_per_trigger="25b")
    assert [len(by_size.update()) for _ in range(4)] == [2, 2, 1, 0]
    tiny = Flow(landing, "in/*.csv", scratch, max_bytes_per_trigger=1)
    assert len(tiny.update()) == 1


def test_names_of_any_kind(landing: Landing, scratch: Path) -> None:
    names = {"ü mläut.csv", "a b.csv", "日本.csv", "p%20c.csv", "h#x.csv", "q'uote.csv", "x+y.csv"}
    for name in names:
        landing.put(f"in/{name}", name.encode())
    flow = Flow(landing, "in/*.csv", scratch)
    assert flow.update() == {name: name.encode() for name in names}
    assert flow.update() == {}


def test_names_that_engines_would_take_for_patterns(landing: Landing, scratch: Path) -> None:
    landing.put("in/k=1/a[1].csv", b"a\n1\n")
    landing.put("in/k=1/a1.csv", b"a\n2\n")
    flow = Flow(landing, "in/**", scratch)
    range = flow.unread()
    assert range is not None
    files = {f.path.rpartition("/")[2]: f.local for f in flow.fetch(range).files}
    assert not set("[]*?") & set(files["a[1].csv"])
    assert "/k=1/" in files["a[1].csv"]
    assert Path(files["a[1].csv"]).read_bytes() == b"a\n1\n"


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("lz4", lambda b: packed(b, "lz4")),
    ],
)
def test_compressions_no_engine_reads(
    landing: Landing, scratch: Path, suffix: str, pack: object
) -> None:
    assert callable(pack)
    landing.put(f"in/a.csv.{suffix}", pack(b"a\n1\n"))
    flow = Flow(landing, "in/*", scratch)
    assert flow.update() == {f"a.csv.{suffix}": b"a\n1\n"}
    landing.put(f"in/b.csv.{suffix}", b"not compressed at all")
    with pytest.raises(FileUnreadableError, match=rf"b\.csv\.{suffix}"):
        flow.update()


def test_compressions_that_engines_read(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv.gz", gzip.compress(b"a\n1\n"))
    landing.put("in/b.json.zst", packed(b"{}", "zstd"))
    for pattern, compression in (("in/*.gz", "gzip"), ("in/*.zst", "zstd")):
        flow = Flow(landing, pattern, scratch)
        range = flow.unread()
        assert range is not None
        batch = flow.fetch(range)
        assert dict(batch.options) == {"compression": compression}
        assert Path(batch.files[0].local).stat().st_size == range.files[0].size


def test_packed_and_plain_files_together(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv.gz", gzip.compress(b"a\n1\n"))
    landing.put("in/b.csv", b"a\n2\n")
    landing.put("in/c.csv.xz", lzma.compress(b"a\n3\n"))
    flow = Flow(landing, "in/*", scratch)
    range = flow.unread()
    assert range is not None
    batch = flow.fetch(range)
    rows = duckdb.sql(
        "FROM read_csv($files) ORDER BY a", params={"files": [f.local for f in batch.files]}
    )
    assert rows.fetchall() == [(1,), (2,), (3,)]
    assert batch.options == ()


def test_a_compression_that_the_name_hides(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", bz2.compress(b"a\n1\n"))
    assert Flow(landing, "in/*", scratch, compression="bz2").update() == {"a.csv": b"a\n1\n"}
    landing.put("in/b.csv.gz", b"a\n2\n")
    flow = Flow(landing, "in/*.gz", scratch, compression="none")
    range = flow.unread()
    assert range is not None
    assert flow.fetch(range).options == (("compression", "none"),)


def test_compressed_parquet_is_unpacked(landing: Landing, scratch: Path) -> None:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"a": [1]}), buffer)
    landing.put("in/a.parquet.gz", gzip.compress(buffer.getvalue()))
    assert Flow(landing, "in/*", scratch).update() == {"a.parquet.gz": buffer.getvalue()}


def test_orc_becomes_parquet(landing: Landing, scratch: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "näme": ["a", None, "ü"]})
    buffer = io.BytesIO()
    orc.write_table(table, buffer)
    landing.put("in/a.orc", buffer.getvalue())
    landing.put("in/b.orc.gz", gzip.compress(buffer.getvalue()))
    flow = Flow(landing, "in/*", scratch)
    range = flow.unread()
    assert range is not None
    batch = flow.fetch(range)
    assert batch.format == "parquet"
    assert all(parquet.read_table(f.local).equals(table) for f in batch.files)
    landing.put("in/broken.orc", buffer.getvalue()[:-20])
    flow.settle(range)
    with pytest.raises(FileUnreadableError, match=r"broken\.orc"):
        flow.update()


def test_an_empty_file_is_a_file(landing: Landing, scratch: Path) -> None:
    landing.put("in/a.csv", b"")
    flow = Flow(landing, "in/*.csv", scratch)
    assert flow.update() == {"a.csv": b""}
    assert flow.update() == {}


@pytest.mark.parametrize("path", ["flihgts", "in/flights/2026-05.csw", "in/flihgts/"])
def test_what_is_not_there(landing: Landing, scratch: Path, path: str) -> None:
    landing.put("flights/2026-05.csv", b"a\n")
    landing.put("in/flights/2026-05.csv", b"a\n")
    flow = Flow(landing, path, scratch)
    for look in (flow.unread, lambda: landing.source.everything(flow.ref)):
        with pytest.raises(SourceNotFoundError) as caught:
            look()
        assert "flights" in (caught.value.nearest or "")


def test_a_file_of_many_chunks(landing: Landing, scratch: Path) -> None:
    content = os.urandom(2**20) * 17
    landing.put("in/a.parquet", content)
    assert Flow(landing, "in/*.parquet", scratch).update() == {"a.parquet": content}


def test_allow_overwrites_reads_only_what_changed(landing: Landing, scratch: Path) -> None:
    for name in ("a", "b", "c"):
        landing.put(f"in/{name}.csv", b"a\n1\n")
    flow = Flow(landing, "in/*.csv", scratch, allow_overwrites=True)
    assert len(flow.update()) == 3
    landing.touch("in/a.csv")
    landing.put("in/b.csv", b"a\n2\n")
    assert flow.update() == {"b.csv": b"a\n2\n"}


@pytest.mark.services
def test_a_bucket_that_does_not_exist(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    for path in ("s3://no-such-bucket/in/*.csv", "s3://no-such-bucket/in", "s3://no-such-bucket"):
        with pytest.raises(SourceNotFoundError, match="no bucket 's3://no-such-bucket'"):
            FilesSource(surroundings(tmp_path)).everything(reference("files", path))


@pytest.mark.services
def test_folder_marks_of_a_console_are_no_files(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    s3.create_bucket("marked")
    for key, content in (("in/", b""), ("in/deep/", b""), ("in/deep/a.csv", b"a\n")):
        s3.put("marked", key, content)
    files = (
        FilesSource(surroundings(tmp_path))
        .everything(reference("files", "s3a://marked/in/**"))
        .files
    )
    assert [f.path for f in files] == ["s3://marked/in/deep/a.csv"]


@pytest.mark.services
def test_credentials_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.create_bucket("closed")
        store.put("closed", "in/a.csv", b"a\n")
        store.require_credentials()
        for path in ("s3://closed/in/*.csv", "s3://closed/in", "s3://closed/in/a.csv"):
            with pytest.raises(FileUnreadableError, match="does not let us read") as caught:
                FilesSource(surroundings(tmp_path)).everything(reference("files", path))
            assert not caught.value.retryable


def packed(content: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    result: bytes = sink.getvalue().to_pybytes()
    return result
