"""`qanat plan` of 1,000 datasets in a chain-and-fan graph, beside one of 10.

Both without a cache, as after a change. Files that have not changed are not parsed again: that
time is printed too.
"""

from __future__ import annotations

from pathlib import Path

from figure import Against, Figure
from measure import Cost, medians, spend
from place import QANAT, no_cache, scratch

LINK = 10


def queries(datasets: int) -> list[str]:
    """A chain whose every link feeds a fan of nine views, of which three join the one before.

    Half of the datasets stand in the fans' joins, so that both long paths and wide levels
    have to be ordered, and every query has columns to resolve. That of number n makes `dn`.
    """
    made = ["SELECT 1 AS id, 10 AS amount, 'a' AS label"]
    for i in range(1, datasets):
        head = i - i % LINK if i % LINK else i - LINK
        if i % LINK in (0, 1, 2, 4, 5, 7, 8):
            query = (
                f"SELECT id, amount + {i} AS amount, upper(label) AS label "
                f"FROM d{head} WHERE amount > {i % 7}"
            )
        else:
            query = (
                f"SELECT a.id, sum(a.amount) AS amount, max(b.label) AS label "
                f"FROM d{head} AS a JOIN d{i - 1} AS b ON a.id = b.id GROUP BY a.id"
            )
        made.append(query)
    return made


def lay_out(folder: Path, datasets: int) -> Path:
    """A project of that many materialized views, 100 a file."""
    (folder / "transformations").mkdir(parents=True)
    statements = [
        f"CREATE MATERIALIZED VIEW d{i} AS {query};" for i, query in enumerate(queries(datasets))
    ]
    for start in range(0, datasets, 100):
        text = "\n".join(statements[start : start + 100]) + "\n"
        file = folder / "transformations" / f"part_{start:04}.sql"
        file.write_text(text, encoding="utf-8")
    (folder / "qanat.yml").write_text("name: wide\nstorage: storage\n", encoding="utf-8")
    return folder


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 5."""
    with scratch("plan") as folder:
        few = lay_out(folder / "few", 10)
        many = lay_out(folder / "many", 1000)

        def plan(project: Path, cache: str) -> Cost:
            return spend([*QANAT, "plan"], project, env=no_cache(folder / cache))

        large, small, again = medians(
            5,
            lambda n: plan(many, f"many-{n}"),
            lambda n: plan(few, f"few-{n}"),
            lambda _: plan(many, "kept"),
        )
    return [
        Figure(
            "plan_1000: chain and fan",
            large.wall,
            "plan of 10 datasets",
            small.wall,
            "s",
            Against.VALUE,
            2.0,
        ),
        Figure(
            "plan_1000: files unchanged",
            again.wall,
            "parsed anew",
            large.wall,
            "s",
            Against.VALUE,
            2.0,
        ),
    ]
