"""What only a local file system can do to a source."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qanat.connectors.files.folder import Folder
from qanat.connectors.files.source import FilesSource
from qanat.errors import (
    FileUnreadableError,
    MissingExtraError,
    OptionError,
    SourceNotFoundError,
    UnsupportedError,
)
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import FileRef
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch
from qanat.testing.reading import reference, surroundings


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")


def found(root: Path, path: str, **options: object) -> list[str]:
    read = reference("files", path, **options)
    files = FilesSource(surroundings(root)).everything(read).files
    return [os.path.relpath(root / f.path, root) for f in files]


@pytest.mark.parametrize("name", ["a [x]", "a*", "a?", "{a,b/c}", "[a", "**"])
def test_the_folder_of_a_project_is_no_pattern(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f"{name}/in/1.csv", f"{name}/in/x/2.csv", "ab/in/3.csv", "b/c/in/4.csv")
    root = tmp_path / name
    assert found(root, "in/*.csv") == ["in/1.csv"]
    assert found(root, "{in,in/x}/*.csv") == ["in/1.csv", "in/x/2.csv"]
    assert found(root, "in", recursiveFileLookup=True) == ["in/1.csv", "in/x/2.csv"]
    monkeypatch.setenv("HOME", str(root))
    assert found(tmp_path / "ab", "~/in/*.csv") == [f"../{name}/in/1.csv"]


def test_ways_to_write_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "in/a b.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (
        "in/a b.csv",
        "./in/../in/a b.csv",
        f"{tmp_path}/in/a b.csv",
        "~/in/a b.csv",
        f"file://{tmp_path}/in/a%20b.csv",
        "in//*.csv",
        "./in/a*",
    ):
        assert found(tmp_path, path) == ["in/a b.csv"], path


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path) -> None:
    write(tmp_path, "in/a[1].csv", "in/a1.csv")
    assert found(tmp_path, "in/a[1].csv") == ["in/a[1].csv"]
    (tmp_path / "in/a[1].csv").unlink()
    assert found(tmp_path, "in/a[1].csv") == ["in/a1.csv"]


def test_links(tmp_path: Path) -> None:
    write(tmp_path, "in/a.csv", "elsewhere/b.csv")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/again.csv").symlink_to(tmp_path / "in/a.csv")
    (tmp_path / "in/nothing.csv").symlink_to(tmp_path / "gone")
    (tmp_path / "in/round").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in")
    assert found(tmp_path, "in/**/*.csv") == ["in/a.csv", "in/again.csv", "in/linked/b.csv"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "in/a.csv")
    os.mkfifo(tmp_path / "in/pipe.csv")
    (tmp_path / "in/folder.csv").mkdir()
    assert found(tmp_path, "in") == ["in/a.csv"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff.csv")).touch()
    with pytest.raises(FileUnreadableError, match="UTF-8"):
        found(tmp_path, "in")


def test_a_name_with_a_line_break(tmp_path: Path) -> None:
    write(tmp_path, "in/a\nb.csv")
    assert found(tmp_path, "in/*.csv") == ["in/a\nb.csv"]


@pytest.mark.parametrize("path", ["in/\0.csv", "x" * 300])
def test_names_that_cannot_be(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceNotFoundError):
        found(tmp_path, path)


def test_filters(tmp_path: Path) -> None:
    write(tmp_path, "in/old.csv", "in/new.csv", "in/new.txt")
    os.utime(tmp_path / "in/old.csv", (0, 0))
    assert found(tmp_path, "in", pathGlobFilter="*.{csv,tsv}") == ["in/new.csv", "in/old.csv"]
    assert found(tmp_path, "in", modified_before="1980-01-01") == ["in/old.csv"]
    assert found(tmp_path, "in/*.csv", modifiedAfter="1980-01-01") == ["in/new.csv"]


def test_a_missing_folder_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "data/flights/2026/a.csv")
    with pytest.raises(SourceNotFoundError) as caught:
        found(tmp_path, "data/flihgts/2026/*.csv")
    assert caught.value.nearest == "data/flights"
    assert "'data/flihgts'" in caught.value.message
    with pytest.raises(SourceNotFoundError) as caught:
        found(tmp_path, "data/zzz.csv")
    assert "'flights'" in (caught.value.hint or "")
    with pytest.raises(SourceNotFoundError, match="there is no '~no such user'"):
        found(tmp_path, "~no such user/a.csv")


def test_recursive_patterns(tmp_path: Path) -> None:
    write(tmp_path, "in/2026/a.csv", "in/2026/05/b.csv", "in/2027/c.csv")
    assert found(tmp_path, "in/2026*/") == ["in/2026/a.csv"]
    both = ["in/2026/05/b.csv", "in/2026/a.csv"]
    assert found(tmp_path, "in/2026*", recursive=True) == both


def test_the_files_of_a_range_come_in_its_order(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.csv")
    source = FilesSource(surroundings(tmp_path))
    ref = reference("files", "*.csv")
    backwards = replace(found := source.everything(ref), files=found.files[::-1])
    verified = source.verify(ref, backwards)
    assert [f.path for f in verified.files] == ["b.csv", "a.csv"]


def fetch(source: FilesSource, ref: SourceRef, scratch: Path) -> FilesBatch:
    range_ = source.everything(ref)
    batch = source.bind(ref, range_, NO_COLUMNS, Drift.EVOLVE, scratch).batch
    assert isinstance(batch, FilesBatch)
    return batch


def test_nothing_to_fetch(tmp_path: Path) -> None:
    ref = reference("files", "*.csv", header=True, schema="id BIGINT")
    batch = fetch(FilesSource(surroundings(tmp_path)), ref, tmp_path / "scratch")
    assert (batch.files, batch.format, batch.options) == ((), "csv", (("header", True),))
    assert batch.declared.names == ("id",)
    assert not (tmp_path / "scratch").exists()


def test_tsv_is_csv_with_tabs(tmp_path: Path) -> None:
    write(tmp_path, "a.tsv")
    source = FilesSource(surroundings(tmp_path))
    read = reference("files", "*.tsv")
    batch = fetch(source, read, tmp_path / "s")
    assert (batch.format, batch.options) == ("csv", (("delimiter", "\t"),))


def test_two_reads_share_a_scratch_folder(tmp_path: Path) -> None:
    write(tmp_path, "a[1].csv")
    source, read = FilesSource(surroundings(tmp_path)), reference("files", "a[1].csv")
    batches = [fetch(source, read, tmp_path / "s") for _ in range(2)]
    assert len({b.files[0].local for b in batches}) == 2


def test_a_digest_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (2**20 + 1))
    (tmp_path / "b").write_bytes(b"x" * (2**20 + 1))
    (tmp_path / "c").write_bytes(b"x" * 2**20 + b"y")
    read = reference("files", "*", format="csv")
    source = FilesSource(surroundings(tmp_path))
    a, b, c = source.verify(read, source.everything(read)).files
    assert a.digest == b.digest != c.digest
    path = str(tmp_path / a.path)
    touched = FileRef(path, a.size, a.modified_ns + 1)
    folder = Folder(tmp_path)
    assert folder.same(replace(a, path=path), touched)
    assert not folder.same(FileRef(path, a.size, 0, None), touched)
    earlier = f"blake2b:{hashlib.blake2b(b'x' * (2**20 + 1), digest_size=20).hexdigest()}"
    assert folder.same(replace(a, path=path, digest=earlier), touched)
    assert not folder.same(replace(a, path=path, digest=f"{earlier[:-1]}_"), touched)


def test_places_and_formats_that_qanat_does_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="hdfs"):
        found(tmp_path, "hdfs://host/in")
    with pytest.raises(OptionError, match="bucket"):
        found(tmp_path, "s3:///in")
    with pytest.raises(OptionError, match="'format' of read_files"):
        reference("files", "a.csv", format="avro")


def test_object_stores_are_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "qanat.connectors.files.bucket", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingExtraError) as caught:
        found(tmp_path, "s3://bucket/in")
    assert "qanat[cloud]" in (caught.value.hint or "")


def test_finding_files_imports_nothing_heavy(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    code = (
        "import sys; from pathlib import Path; from qanat import plugins;"
        "from qanat.testing.reading import RememberedPast, reference, surroundings;"
        "files = plugins.connector('files');"
        f"source = plugins.imported(files.source)(surroundings(Path({str(tmp_path)!r})));"
        "source.plan(reference('files', '*.csv'), RememberedPast());"
        "plugins.imported(files.sink);"
        "print([m for m in ('pyarrow', 'duckdb', 'deltalake', 'obstore') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def strangers() -> Iterator[Path]:
    """A folder, and for the test's length a user who owns nothing (root may read everything)."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "in/a.csv", "shut/a.csv")
        Path(folder).chmod(0o755)
        Path(folder, "in/a.csv").chmod(0)
        Path(folder, "shut").chmod(0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        yield Path(folder)
        if before == 0:
            os.seteuid(0)
        Path(folder, "shut").chmod(0o700)


def test_what_may_not_be_read(strangers: Path) -> None:
    source, read = FilesSource(surroundings(strangers)), reference("files", "in/*.csv")
    with pytest.raises(FileUnreadableError, match="may not be read"):
        fetch(source, read, strangers / "s")
    with pytest.raises(FileUnreadableError, match="may not be listed"):
        found(strangers, "shut/*.csv")
