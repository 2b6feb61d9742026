"""Where a read begins, if nothing has been read yet, and where one without STREAM ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qanat.connectors.kafka.topics import Cluster, Partition, parsed
from qanat.errors import OptionError
from qanat.model.query import SourceRef

_EXAMPLE = '{"orders": {"0": 23, "1": -2}}'
_NAMED = {"earliest": -2, "latest": -1}


def begins(
    cluster: Cluster, ref: SourceRef, partitions: Iterable[Partition]
) -> dict[Partition, int]:
    """The offset to begin with, by partition; those that no option names begin with the earliest.

    Raises:
        OptionError: an option does not fit.
    """
    return _placed(cluster, ref, tuple(partitions), "starting", "earliest")


def ends(
    cluster: Cluster, ref: SourceRef, partitions: Iterable[Partition]
) -> dict[Partition, int]:
    """The offset to end before, by partition; never beyond what is committed.

    Raises:
        OptionError: an option does not fit.
    """
    every = tuple(partitions)
    latest = cluster.stable(every)
    found = _placed(cluster, ref, every, "ending", "latest")
    return {p: min(found[p], latest[p]) for p in every}


def check_endless(ref: SourceRef) -> None:
    """Refuse an end for a stream.

    Raises:
        OptionError: there is an option that says where to end.
    """
    name = next((k for k, _ in ref.options if k.startswith("ending_")), None)
    if name is not None:
        raise OptionError(
            f"a stream has no end: the option {name!r} of read_kafka is for reads without STREAM",
            hint="leave it out, or leave STREAM out in a materialized view",
        )


def _placed(
    cluster: Cluster, ref: SourceRef, partitions: tuple[Partition, ...], when: str, default: str
) -> dict[Partition, int]:
    if (moment := ref.option(f"{when}_timestamp")) is not None:
        return cluster.since(dict.fromkeys(partitions, int(moment)))
    name = f"{when}_offsets_by_timestamp"
    if (text := ref.option(name)) is not None:
        moments = _numbers(name, text)
        known = cluster.since({p: moments[p] for p in partitions if p in moments})
        others = dict.fromkeys((p for p in partitions if p not in moments), _NAMED[default])
        return known | _resolved(cluster, others)
    name = f"{when}_offsets"
    text = str(ref.option(name, default)).strip()
    allowed = ("earliest", "latest") if when == "starting" else ("latest",)
    if text.lower() in allowed:
        return _resolved(cluster, dict.fromkeys(partitions, _NAMED[text.lower()]))
    if not text.startswith("{"):
        raise OptionError(
            f"the option {name!r} of read_kafka does not fit",
            wanted=f"{' or '.join(map(repr, allowed))}, or JSON such as '{_EXAMPLE}'",
            got=repr(text),
        )
    given = _numbers(name, text)
    return _resolved(cluster, {p: given.get(p, _NAMED[default]) for p in partitions})


def _resolved(cluster: Cluster, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
    """Offsets, of which -2 is the earliest and -1 the latest."""
    earliest = cluster.earliest(p for p, offset in offsets.items() if offset == -2)
    latest = cluster.stable(p for p, offset in offsets.items() if offset == -1)
    return {**offsets, **earliest, **latest}


def _numbers(name: str, text: str) -> dict[Partition, int]:
    found: dict[Partition, int] = {}
    for topic, numbers in parsed(name, text, _EXAMPLE).items():
        pairs = numbers.items() if isinstance(numbers, dict) else [("", None)]
        for number, value in pairs:
            if not (str(number).isdigit() and type(value) is int and value >= -2):
                raise OptionError(
                    f"the option {name!r} of read_kafka does not fit",
                    wanted=f"such as '{_EXAMPLE}'",
                    got=text,
                )
            found[topic, int(number)] = value
    return found
