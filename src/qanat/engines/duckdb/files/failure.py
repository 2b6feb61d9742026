"""Translates DuckDB's errors about files to Qanat errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from qanat.engines.duckdb.message import is_full, plain
from qanat.errors import (
    FileUnreadableError,
    FileVanishedError,
    QanatError,
    StorageFullError,
    disk_full,
)
from qanat.model.batch import LocalFile

# The errors that a file's content can cause. Others (Binder, Parser, …) are defects of Qanat and
# are raised as they are.
_ABOUT_FILES = (
    duckdb.IOException,
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.SerializationException,
    duckdb.OutOfRangeException,
    duckdb.NotImplementedException,
)


def translate(error: Exception, files: Sequence[LocalFile], format_: str) -> QanatError | None:
    """The Qanat error for an error while files were read; None if no file caused it.

    Args:
        error: what DuckDB or the operating system raised.
        files: the files that were read; the one that the message names is blamed.
        format_: the files' format, for the message.
    """
    text = str(error).strip()
    if is_full(text) or (isinstance(error, OSError) and disk_full(error)):
        return StorageFullError(
            "no space left for scratch files",
            got=plain(text),
            hint="free space below the project's storage and run again; nothing was published",
        )
    # DuckDB reports some damage as a plain duckdb.Error, without a class of its own.
    if type(error) is not duckdb.Error and not isinstance(
        error, (*_ABOUT_FILES, OSError, EOFError)
    ):
        return None
    missing = next((f for f in files if not Path(f.local).exists()), None)
    if missing is not None:
        return FileVanishedError(
            f"{missing.path} is gone",
            wanted="the file as it was when it was found",
            hint="put it back, or run again without it",
        )
    named = [f for f in files if f.local in text]
    # One path may be the beginning of another: the longest path in the message is the one meant.
    blamed = max(named, key=lambda f: len(f.local), default=files[0] if len(files) == 1 else None)
    who = blamed.path if blamed else f"one of {len(files)} files ({files[0].path}, …)"
    return FileUnreadableError(
        f"cannot read {who} as {format_}",
        wanted=f"a readable {format_} file",
        got=plain(text),
        hint="mend the file or take it away, and run again",
    )


@contextmanager
def blaming(files: Sequence[LocalFile], format_: str) -> Iterator[None]:
    """Turn errors of the block into Qanat errors that name the file.

    Args:
        files: the files that the block reads.
        format_: their format, for the message.

    Raises:
        FileVanishedError: a file is gone.
        FileUnreadableError: a file's content is not of its format.
        StorageFullError: the scratch folder is full.
    """
    try:
        yield
    except (duckdb.Error, OSError, EOFError) as error:
        found = translate(error, files, format_)
        if found is None:
            raise
        raise found from error
