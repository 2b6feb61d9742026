"""The project of the object store's crash test, in every state that a command can meet."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random

from qanat.frozen import Frozen
from tests.crash.merging import AT_ONCE, EPOCHS, Merging
from tests.objects.site import Image, Site

SPEC = """\
name: shop
storage: {storage}
threads: 1
libraries:
  - glob:
      include: transformations/**
"""

# A checkpoint is due after two commits instead of a hundred.
SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT has_kind EXPECT (kind IS NOT NULL) ON VIOLATION QUARANTINE ROW
) TBLPROPERTIES ('delta.checkpointInterval' = '2')
AS SELECT {id}, kind, amount FROM STREAM read_files('in/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, kind STRING, amount BIGINT');

CREATE OR REFRESH STREAMING TABLE {silver} (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW,
  CONSTRAINT small EXPECT (amount < {limit}) ON VIOLATION QUARANTINE ROW
) PARTITIONED BY (kind) AS SELECT {id}, kind, amount FROM STREAM bronze;

CREATE OR REFRESH MATERIALIZED VIEW gold AS
SELECT kind, count(*) AS n, sum(amount) AS total FROM {silver} GROUP BY kind;
"""
SAME = "id + 0 AS id"
"""In place of `id` it makes another definition of what gives the same rows."""
# Without silver and what reads it.
DROPPED = SQL.partition("CREATE OR REFRESH STREAMING TABLE {silver}")[0]

APART = """\
CREATE OR REFRESH STREAMING TABLE {name} (
  CONSTRAINT small EXPECT (amount < 165) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount FROM STREAM read_files('in/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, kind STRING, amount BIGINT');

CREATE OR REFRESH MATERIALIZED VIEW {name}_sum AS SELECT sum(amount) AS total FROM {name};
"""

# Digits that do not compress, in a file that is sent in parts.
LARGE = """\
CREATE OR REFRESH STREAMING TABLE large AS
SELECT id, text FROM STREAM read_files('in/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, text STRING');
"""

RUN = ("run",)
REPLAY = ("quarantine", "replay")
REFRESH = ("run", "--full-refresh")
MAINTAIN = ("maintain",)
RENAME = ("rename", "silver", "clean")
DROP = ("drop", "silver", "--yes")

_DONE = re.compile("nothing that was ever run is called|no dataset .* was ever run")

SHOP = ("first", "append", "edited", "refresh", "replay", "rename", "drop", "maintain")
"""The scenarios of the project that `SQL` declares."""
MERGES = ("merge-first", "merge", "merge-maintain")
"""Those of the project whose tables are kept by changes."""
DECLARED = "transformations/tables.sql"

Words = tuple[str, ...]


class Scenario(Frozen):
    """A command on a project in a certain state.

    Args:
        name: unique in a crash test.
        image: the state.
        words: the command that meets faults.
        then: the commands of recovery, in order; the last of them leaves nothing to do.
        beside: a command that runs at the same time, undisturbed; none if empty.
        done: what a command says that finds itself done already, and so fails.
        edit: the tables as the author declares them before the recovery; empty: as they are.
    """

    name: str
    image: Image
    words: Words = RUN
    then: Sequence[Words] = (RUN,)
    beside: Words = ()
    done: re.Pattern[str] | None = None
    edit: str = ""


def _sql(silver: str = "silver", limit: int = 150, id: str = "id") -> str:
    return SQL.format(silver=silver, limit=limit, id=id)


class Maker:
    """Makes scenarios: plays the author of a project at a site.

    Args:
        folder: where images go.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._images = 0

    def all(self, wanted: Collection[str] = ()) -> list[Scenario]:
        """The scenarios.

        Args:
            wanted: names; none means all.
        """
        makers = {("pair",): self._pair, ("large",): self._large, SHOP: self._shop}
        makers[MERGES] = self._merges
        needed = [make for names, make in makers.items() if not wanted or {*names} & {*wanted}]
        return [s for make in needed for s in make() if not wanted or s.name in wanted]

    def _shop(self) -> list[Scenario]:
        self._new(_sql())
        self._add(1)
        first = self._image()
        for number in range(2, 4):
            self._run()
            self._add(number)
        append = self._image()
        self._run()
        self._declare(_sql(limit=165))
        later = self._image()
        self._declare(_sql(limit=165).replace("'2')", f"'2', {AT_ONCE})"))
        short = self._image()
        self._declare(_sql(silver="clean"))
        renamed = self._image()
        self._declare(DROPPED.format(id="id"))
        dropped = self._image()
        return [
            Scenario("first", first),
            Scenario("append", append),
            Scenario("edited", append, edit=_sql(id=SAME)),
            Scenario("refresh", later, REFRESH, (REFRESH, RUN)),
            Scenario("replay", later, REPLAY, (REPLAY, RUN)),
            Scenario("maintain", short, MAINTAIN, (MAINTAIN, RUN)),
            Scenario("rename", renamed, RENAME, (RENAME, RUN), done=_DONE),
            Scenario("drop", dropped, DROP, (DROP, RUN), done=_DONE),
        ]

    def _merges(self) -> list[Scenario]:
        self._new("")
        project = Merging(self._write, self._site.storage)
        project.add(1)
        first = self._image()
        self._run()
        for number in range(2, EPOCHS):
            project.add(number)
            if number < EPOCHS - 1:
                self._run()
        following = self._image()
        self._run()
        project.add(EPOCHS)
        project.declare(AT_ONCE)
        self._run()
        return [
            Scenario("merge-first", first),
            Scenario("merge", following),
            Scenario("merge-maintain", self._image(), MAINTAIN, (MAINTAIN, RUN)),
        ]

    def _pair(self) -> list[Scenario]:
        self._new("\n".join(APART.format(name=name) for name in ("east", "west")))
        self._add(1)
        self._run()
        self._add(2)
        words, beside = (("run", "--select", f"{name}+") for name in ("east", "west"))
        return [Scenario("pair", self._image(), words, (words, RUN), beside)]

    def _large(self) -> list[Scenario]:
        self._new(LARGE)
        draw = Random(7)
        rows = (f"{n},{draw.randbytes(512).hex()}\n" for n in range(24_000))
        self._write("in/1.csv", "id,text\n" + "".join(rows))
        return [Scenario("large", self._image())]

    def _new(self, sql: str) -> None:
        empty = self._folder / f"empty-{self._images}"
        for folder in ("in", "transformations"):
            (empty / folder).mkdir(parents=True)
        self._site.restore(Image(empty, {}))
        self._write("qanat.yml", SPEC.format(storage=self._site.storage))
        self._declare(sql)

    def _declare(self, sql: str) -> None:
        self._write(DECLARED, sql)

    def _add(self, number: int) -> None:
        """Write a file with rows of every kind."""
        rows = [(1000 * number + n, "abcd"[n % 4], n % 170) for n in range(400)]
        wrong = ((1000 * number + 500, "", 1), (1000 * number + 501, "a", -1))
        lines = [f"{i},{kind},{amount}\n" for i, kind, amount in (*rows, *wrong)]
        self._write(f"in/{number}.csv", "".join(["id,kind,amount\n", *lines, "x,a,bad\n"]))

    def _write(self, path: str, text: str) -> None:
        (self._site.project / path).write_text(text, encoding="utf-8")

    def _run(self) -> None:
        client = self._site.start(self._site.plain, RUN)
        assert client.wait() == 0, client.said()

    def _image(self) -> Image:
        self._images += 1
        return self._site.image(self._folder / f"image-{self._images}")
