"""Which targets of sinks are one place; no server is asked."""

from __future__ import annotations

from pathlib import Path

from qanat.connectors.postgres.sink import PostgresSink
from qanat.model.pipeline import SinkTarget
from qanat.testing.reading import surroundings


def place(url: str, table: str = "shop.orders") -> object:
    sink = PostgresSink(surroundings(Path()))
    return sink.place(SinkTarget("postgres", (("url", url), ("table", table)), "postgres"))


def test_who_sends_makes_no_difference() -> None:
    mine = place("postgresql://ada:secret@db/shop")
    assert mine == place("postgresql://eve:other@db/shop?sslmode=require")
    assert mine != place("postgresql://ada:secret@db/shop", "shop.others")
    assert mine != place("postgresql://ada:secret@db/test")
    assert "secret" not in repr(mine)
