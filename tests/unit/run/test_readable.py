"""The folders of tables."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from qanat.run.readable import folder_name


@pytest.mark.parametrize(
    "name",
    ["sales", "größe", "e\u0301", "2020–2024", "हिन्दी", "a/b", "x%2F", '"13', "∓", ".a", "a b"],
)
def test_a_store_finds_a_dataset_by_its_folder(name: str) -> None:
    """Stores list folders, and take their names for percent-encoded UTF-8."""
    assert unquote(folder_name(name)) == name
    assert "/" not in folder_name(name)
