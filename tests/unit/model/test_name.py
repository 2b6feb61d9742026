"""Two spellings of a name mean the same thing wherever they differ only in case."""

from __future__ import annotations

import pytest

from qanat.model.name import Named, Names, fold, same

SAME = [
    ("bronze", "BRONZE"),
    ("größe", "GRÖSSE"),
    ("Straße", "strasse"),
    ("STRASSE", "straẞe"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("ﬁle", "FILE"),
    ("İd", "i̇D"),
    ("数据", "数据"),
]
OTHERS = [("größe", "grosse"), ("a", "a "), ("maße", "mase"), ("é", "e\u0301"), ("", "a")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert same(one, other)
    assert fold(one) == fold(other) == fold(fold(one))
    assert list(Names([one, other])) == [one]
    assert other in Names([one])
    assert Names([one]).find(other) == one
    found = Named({one: 1})
    assert other in found
    assert found[other] == found.get(other) == 1


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_two_names(one: str, other: str) -> None:
    assert not same(one, other)
    assert list(Names([one, other])) == [one, other]
    assert other not in Names([one])
    assert Names([one]).find(other) is None
    found = Named({one: 1})
    assert other not in found
    assert found.get(other) is None
    assert found.get(other, 2) == 2
    with pytest.raises(KeyError):
        found[other]


def test_the_text_that_ledgers_and_fingerprints_keep() -> None:
    # Another text would make every stored key one of a dataset that is not there.
    assert [fold(n) for n in ("Bronze", "Straße", "İd", "ΣΊΣΥΦΟΣ")] == [
        "bronze", "strasse", "i̇d", "σίσυφοσ",
    ]  # fmt: skip


def test_the_first_spelling_stays_and_the_last_value_counts() -> None:
    found = Named([("Id", 1), ("größe", 2), ("ID", 3)])
    found["GRÖSSE"] = 4
    assert dict(found) == {"Id": 3, "größe": 4}
    assert list(found.values()) == [3, 4]
    assert found == {"Id": 3, "größe": 4}
    assert len(found) == 2


def test_a_mapping_changes_by_any_spelling() -> None:
    found: Named[list[int]] = Named()
    found.setdefault("Id", []).append(1)
    found.setdefault("ID", []).append(2)
    assert found.pop("iD") == [1, 2]
    assert found.pop("id", None) is None
    found.update({"Straße": [3]})
    del found["STRASSE"]
    assert not found
    assert not [*found, *found.values()]
    found["ID"] = [4]
    assert dict(found) == {"ID": [4]}


def test_a_set_grows() -> None:
    names = Names(["Id"])
    names.add("ID")
    names.add("Größe")
    assert list(names) == ["Id", "Größe"]
    assert len(names) == 2


@pytest.mark.parametrize("other", [None, 1, b"id", ("id",)])
def test_what_is_no_text_is_no_key(other: object) -> None:
    assert other not in Named({"id": 1})


def test_spellings_do_not_make_names_differ() -> None:
    assert Names(["Id", "größe"]) == Names(["GRÖSSE", "ID"])
    assert Names(["Id"]) != Names(["id", "b"])
    assert Named({"Id": 1}) == Named({"ID": 1})
    assert Named({"Id": 1}) != Named({"ID": 2})
    assert 1 not in Names(["a"])
