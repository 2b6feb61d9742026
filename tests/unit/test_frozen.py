"""`Frozen` is a dataclass in every respect, however it is first used."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from qanat.frozen import Frozen

T = TypeVar("T")


class Place(Frozen):
    """At module level, where pickle finds it."""

    name: str
    tags: tuple[str, ...] = ()


def kinds() -> tuple[Any, Any]:
    """A base and its subclass, which nobody has used before."""

    class Base(Frozen):
        name: str
        notes: dict[str, int] = field(default_factory=dict, compare=False)

    class Sub(Base):
        number: int = 1

        def __post_init__(self) -> None:
            if self.number < 0:
                raise ValueError("negative")

    return Base, Sub


def test_an_instance() -> None:
    base, sub = kinds()
    one = sub("a", {"x": 1}, number=2)
    assert one == sub("a", number=2)
    assert one != sub("b", number=2)
    assert one != base("a")
    assert repr(one).endswith("Sub(name='a', notes={'x': 1}, number=2)")
    assert hash(one) == hash(sub("a", number=2))
    assert asdict(replace(one, name="b")) == {"name": "b", "notes": {"x": 1}, "number": 2}
    with pytest.raises(FrozenInstanceError):
        one.name = "c"
    with pytest.raises(ValueError, match="negative"):
        sub("a", number=-1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        sub()


@pytest.mark.parametrize("ask", [is_dataclass, fields])
def test_a_class_that_has_no_instance(ask: Callable[[type], object]) -> None:
    _, sub = kinds()
    assert ask(sub)
    assert [f.name for f in fields(sub)] == ["name", "notes", "number"]
    assert not is_dataclass(Frozen)


@pytest.mark.parametrize("use", [repr, hash, lambda one: one == Place("a")])
def test_an_instance_that_came_without_a_call(use: Callable[[object], object]) -> None:
    class Other(Frozen):
        name: str
        tags: tuple[str, ...] = ()

    one = Other.__new__(Other)
    vars(one).update(vars(Place("a")))
    use(one)
    assert one == Other("a")


def test_a_base_that_was_used_before_its_subclass() -> None:
    class Base(Frozen):
        name: str

    assert fields(Base)

    class Sub(Base):
        number: int = 1

    class Same(Base):
        """Without fields of its own."""

    assert Sub("a", 2) == Sub(name="a", number=2)
    assert Same("a") == Same("a") != Base("a")
    with pytest.raises(FrozenInstanceError):
        Same("a").number = 2


def test_generics_and_class_keywords() -> None:
    class Box(Frozen, Generic[T]):
        content: T

    class Named:
        label: ClassVar[str]

        def __init_subclass__(cls, label: str = "") -> None:
            cls.label = label

    class Labelled(Frozen, Named, label="x"):
        number: int

    assert Box[int](1) == Box(1)
    assert (Labelled.label, Labelled(1).number) == ("x", 1)


def test_what_tools_ask_of_a_class_that_has_no_instance() -> None:
    _, sub = kinds()
    assert list(inspect.signature(sub).parameters) == ["name", "notes", "number"]
    _, sub = kinds()
    assert sub.__match_args__ == ("name", "notes", "number")
    with pytest.raises(TypeError, match="no instances"):
        Frozen()


def test_fields_in_the_wrong_order_are_told_each_time() -> None:
    names = {"number": int, "name": str}
    wrong = type("Wrong", (Frozen,), {"__annotations__": names, "number": 1})
    for _ in range(2):
        with pytest.raises(TypeError, match="non-default argument 'name'"):
            wrong()


def test_copies() -> None:
    one = Place("ü", ("a",))
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own


def test_threads_meet_at_the_first_use() -> None:
    def use(kind: Any, name: str) -> object:
        one = kind(name)
        assert kind.__match_args__ == ("name", "notes", "number")
        with pytest.raises(FrozenInstanceError):
            one.name = "other"
        return one

    for _ in range(50):
        _, sub = kinds()
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(use, [sub] * 8, "abababab"))
        assert len(set(made)) == 2
