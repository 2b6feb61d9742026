"""What a bucket holds, read without Qanat: the log by the standard library, rows by delta-rs."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable
from pyarrow import parquet

from qanat.frozen import Frozen
from tests.objects.site import PREFIX, Site

# These columns name the update, its time or its place, and so differ from run to run.
_VARIES = ("_quarantine_id", "_quarantine_update", "_quarantine_at", "_quarantine_epoch")
_PLACE = re.compile(r"/[^']*/(?:epoch-\d+|replay-\d+)(?:-[0-9a-f]+)+-|/[^']*/(?=in/)")
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"\d{20}\.checkpoint(\.\d{10}\.\d{10})?\.parquet|_last_checkpoint")
_TABLES = f"{PREFIX}/tables/"

Rows = Mapping[str, Counter[str]]
"""By table, its rows, without what differs from run to run; tables without rows are left out."""


class Found(Frozen):
    """What is left.

    Args:
        rows: of every table and quarantine.
        complaints: a sentence for everything that is wrong with a log or its files.
        orphans: the objects that belong to no version of a table.
        uploads: uploads in parts that nobody has ended: S3 keeps them until a rule of the bucket
            removes them, and no reader sees them.
    """

    rows: Rows
    complaints: Sequence[str] = ()
    orphans: Sequence[str] = ()
    uploads: int = 0


def look(site: Site) -> Found:
    """Read everything that lies in a site's bucket."""
    sizes = site.sizes()
    tables: dict[str, dict[str, int]] = defaultdict(dict)
    complaints, orphans = [], []
    for key, size in sizes.items():
        name, _, path = key.removeprefix(_TABLES).partition("/")
        if not key.startswith(_TABLES) or not path:
            orphans.append(key)
        else:
            tables[name][path] = size
    rows: dict[str, Counter[str]] = {}
    for name, files in sorted(tables.items()):
        log = _Log(site, name, files)
        complaints += log.complaints()
        orphans += log.orphans()
        if not log.versions:
            continue
        try:
            found, wrong = _rows(site, name)
        except Exception as error:  # noqa: BLE001 - whatever delta-rs says of a damaged table
            complaints.append(f"{name} cannot be read: {error}")
            continue
        complaints += wrong
        if found:
            rows[unquote(name)] = found
    return Found(rows, complaints, orphans, len(site.uploads()))


def compare(wanted: Rows, there: Rows) -> tuple[list[str], int, int]:
    """Compare what is left with what an undisturbed run leaves.

    Returns:
        A sentence for each table that differs, and how many rows were lost, and were too many.
    """
    complaints, lost, doubled = [], 0, 0
    for name in sorted({*wanted, *there}):
        one, other = wanted.get(name, Counter[str]()), there.get(name, Counter[str]())
        less, more = one - other, other - one
        lost += less.total()
        doubled += more.total()
        if less or more:
            shown = [*(f"lacks {r}" for r in less), *(f"has {r}" for r in more)][:2]
            counts = f"{less.total()} rows lost, {more.total()} too many"
            complaints.append(f"{name}: {counts}, as it {' and '.join(shown)}")
    return complaints, lost, doubled


def _rows(site: Site, name: str) -> tuple[Counter[str], list[str]]:
    url = f"s3://{site.bucket}/{_TABLES}{name}"
    # In an unencrypted protocol and with these keys, as any other tool would.
    table = DeltaTable(url, storage_options=site.environment)
    if not table.schema().fields:
        return Counter(), []  # nothing but fences of a table that nobody has made
    rows = table.to_pyarrow_table().to_pylist()
    identifiers = Counter(r["_quarantine_id"] for r in rows if "_quarantine_id" in r)
    twice = sum(1 for n in identifiers.values() if n > 1)
    shown = Counter(
        _PLACE.sub("", repr([(k, v) for k, v in row.items() if k not in _VARIES])) for row in rows
    )
    return shown, [f"{name} holds {twice} quarantined rows twice"] if twice else []


class _Log:
    """The log of one table, and the files beside it."""

    def __init__(self, site: Site, name: str, files: Mapping[str, int]) -> None:
        self._name = name
        self._files = files
        self.versions: dict[int, list[dict[str, Any]]] = {}
        self._before: list[dict[str, Any]] = []
        """What the first checkpoint says of versions whose entries were cleaned up."""
        for path in sorted(files):
            folder, _, entry = path.rpartition("/")
            if folder == "_delta_log" and (match := _ENTRY.fullmatch(entry)):
                text = site.read(f"{_TABLES}{name}/{path}").decode()
                self.versions[int(match[1])] = [json.loads(line) for line in text.splitlines()]
        if self.versions and 0 not in self.versions:
            first = min(self.versions)
            kept = f"_delta_log/{first:020}.checkpoint.parquet"
            if kept in files:
                content = site.read(f"{_TABLES}{name}/{kept}")
                rows = parquet.read_table(BytesIO(content)).to_pylist(maps_as_pydicts="strict")
                self._before = [{k: v for k, v in row.items() if v is not None} for row in rows]

    def complaints(self) -> Iterator[str]:
        """A sentence for everything that is wrong."""
        first = min(self.versions, default=0)
        whole = not first or self._before
        if not whole or [*self.versions] != [*range(first, first + len(self.versions))]:
            yield f"{self._name} has the versions {[*self.versions]}"
        live, _ = self._named()
        for path, size in live.items():
            if (there := self._files.get(path)) != size:
                yield f"{self._name}: {path} has {there} bytes, and its log says {size}"
        yield from self._doubled()

    def orphans(self) -> Iterator[str]:
        """The keys of objects that are in no version."""
        _, mentioned = self._named()
        for path in self._files:
            folder, _, entry = path.rpartition("/")
            known = _ENTRY.fullmatch(entry) or _CHECKPOINT.fullmatch(entry)
            if not (known if folder == "_delta_log" else path in mentioned):
                yield f"{_TABLES}{self._name}/{path}"

    def _named(self) -> tuple[dict[str, int], set[str]]:
        """The files of the newest version with their sizes, and those of all versions.

        Changes that are kept beside the rows are among them.
        """
        live: dict[str, int] = {}
        events: dict[str, int] = {}
        mentioned: set[str] = set()
        for action in (a for some in (self._before, *self.versions.values()) for a in some):
            for kind in action.keys() & {"add", "remove", "cdc"}:
                path = unquote(action[kind]["path"])
                mentioned.add(path)
                live.pop(path, None)
                if kind == "add":
                    live[path] = action[kind]["size"]
            if "metaData" in action:
                kept = json.loads(action["metaData"]["configuration"].get("qanat.events", "{}"))
                events = {unquote(f["path"]): f["size"] for f in kept.get("files", ())}
                mentioned |= events.keys()
        return live | events, mentioned

    def _doubled(self) -> Iterator[str]:
        """Numbers that an application has committed twice; one that was taken back is free."""
        newest: dict[str, int] = {}
        for version, actions in self.versions.items():
            info = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
            moved = "qanat.renames" in info
            for made in (a["txn"] for a in actions if "txn" in a):
                name, number = made["appId"], made["version"]
                before = newest.get(name, 0)
                newest[name] = number
                back = info.get("operation") == "RESTORE" and number < before
                if number <= before and not back and not moved:
                    yield (
                        f"{self._name}: version {version} is number {number} of {name},"
                        f" which was at {before}"
                    )


def leftovers(project: Path) -> Iterator[str]:
    """Files of updates that have ended, on this machine."""
    for path in sorted((project / ".qanat").rglob("scratch/**/*")):
        if path.is_file():
            yield f"{path.relative_to(project)} is left of an update that has ended"
