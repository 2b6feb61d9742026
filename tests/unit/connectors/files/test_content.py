"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import lz4.frame
import pyarrow
import pyarrow.orc
import pyarrow.parquet
import pytest

import qanat
from qanat.connectors.files.content import encoding_named, transcoded
from qanat.errors import FileUnreadableError, OptionError, QanatError

CSV = "näme,v\r\né,1\r\n€,2\r\n"
ROWS = [("é", 1), ("€", 2)]
JSON = '{"näme": "é", "v": 1}\n{"näme": "€", "v": 2}\n'


class Landing:
    """A project that reads files of one format."""

    def __init__(self, folder: Path) -> None:
        (folder / "in").mkdir()
        (folder / "qanat.yml").write_text("name: p\nlibraries: ['*.sql']\n")
        self._folder = folder

    def put(self, name: str, content: bytes) -> None:
        (self._folder / "in" / name).write_bytes(content)

    def rows(self, **options: Any) -> list[tuple[Any, ...]]:
        """Load all files into a new table; its rows in order."""
        given = "".join(f", {k} => '{v}'" for k, v in options.items())
        (self._folder / "t.sql").write_text(
            "CREATE OR REFRESH STREAMING TABLE t AS"
            f" SELECT * FROM STREAM read_files('in/*'{given})"
        )
        with qanat.open(self._folder) as project:
            result = project.run(full_refresh=True)
            for dataset in result.datasets:
                if dataset.error is not None:
                    raise dataset.error
            assert not dataset.counts.malformed
            return sorted(project.table("t").rows(), key=str)

    def refused(self, **options: Any) -> QanatError:
        with pytest.raises(QanatError) as caught:
            self.rows(**options)
        return caught.value


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-8"),
        ("utf-32", None),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "utf_16_be"),
        ("cp1252", "windows-1252"),
        ("iso8859-15", "ISO-8859-15"),
        ("utf-8", "utf8"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_encodings(landing: Landing, written: str, said: str | None, format: str) -> None:
    text = CSV if format == "csv" else JSON
    landing.put(f"a.{format}", text.encode(written))
    options = {} if said is None else {"encoding": said}
    assert landing.rows(**options) == ROWS


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE])
def test_all_rows_of_a_large_utf_16_file_beside_others(landing: Landing, mark: bytes) -> None:
    encoding = "utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-16-le"
    many = "".join(f"é{n},{n}\n" for n in range(50_000))
    landing.put("a.csv", mark + f"näme,v\n{many}".encode(encoding))
    landing.put("b.csv.gz", gzip.compress("näme,v\ny,-1\n".encode()))
    landing.put("c.csv.gz", gzip.compress("näme,v\nz,-2\n".encode("utf-16")))
    rows = landing.rows()
    assert len(rows) == 50_002
    assert sum(v for _, v in rows) == 50_000 * 49_999 // 2 - 3


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lz4.frame.compress,
        lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
    ],
    ids=["gzip", "bz2", "xz", "lz4", "zstd"],
)
def test_a_compression_that_the_name_hides(landing: Landing, pack: Any) -> None:
    landing.put("a.csv", pack(CSV.encode()))
    assert landing.rows() == ROWS
    landing.put("b.csv", "näme,v\nz,3\n".encode())
    landing.put("c.csv", pack("näme,v\nü,4\n".encode("utf-16")))
    assert landing.rows() == sorted([*ROWS, ("z", 3), ("ü", 4)])
    assert isinstance(landing.refused(compression="none"), QanatError)


def _packed(write: Any, column: str = "id") -> bytes:
    out = io.BytesIO()
    write(pyarrow.table({column: [1]}), out)
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.csv", CSV)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "hint"),
    [
        (_packed(pyarrow.parquet.write_table), "a Parquet file", "format => 'parquet'"),
        (_packed(pyarrow.orc.write_table), "an ORC file", "format => 'orc'"),
        (_zip(), "a ZIP archive", "move it out"),
        (CSV.encode("utf-16-be"), "no text in utf-8", "encoding => 'utf-16-le'"),
        (bytes(range(256)) * 9, "no text in utf-8", "move it out"),
    ],
    ids=["parquet", "orc", "zip", "utf-16 without a mark", "bytes"],
)
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.tsv", "a.csv.gz"])
def test_what_is_no_text_is_refused(
    landing: Landing, content: bytes, kind: str, hint: str, name: str
) -> None:
    landing.put(name, gzip.compress(content) if name.endswith("gz") else content)
    error = landing.refused()
    assert isinstance(error, FileUnreadableError)
    assert kind in error.message
    assert name in error.message
    assert hint in (error.hint or "")
    # Also where the columns are declared, so that no header is asked.
    assert kind in landing.refused(schema="id BIGINT").message


def test_columns_may_have_the_names_of_formats(landing: Landing) -> None:
    landing.put("a.csv", b"PAR1,v\nx,1\n")
    landing.put("b.csv", b"ORC,v\ny,2\n")
    assert len(landing.rows()) == 2


def test_a_column_name_that_no_table_can_keep(landing: Landing) -> None:
    landing.put("a.parquet", _packed(pyarrow.parquet.write_table, "a\0b"))
    assert "NUL character" in landing.refused().message


def test_what_is_not_of_its_encoding_is_malformed(landing: Landing, tmp_path: Path) -> None:
    landing.put("a.csv", b"a,b\n1,\x81\n2,x\n")  # cp1252 has no 0x81
    with pytest.raises(AssertionError):
        landing.rows(encoding="cp1252")  # something is in quarantine
    with qanat.open(tmp_path) as project:
        assert [r["a"] for r in project.table("t").arrow().to_pylist()] == [2]
        (bad,) = project.quarantine("t").table.arrow().to_pylist()
        assert "not UTF-8" in str(bad["_quarantine_rules"])


def test_characters_that_chunks_cut_in_two() -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1)

    target = io.BytesIO()
    transcoded(Dripping("é€😀".encode("utf-16")), target, "utf-16")
    assert target.getvalue().decode() == "é€😀"


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13"])
def test_an_encoding_that_does_not_exist(name: str) -> None:
    with pytest.raises(OptionError, match=name):
        encoding_named(name)
