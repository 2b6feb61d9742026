"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.started import started


@pytest.fixture(scope="session")
def qanat() -> Iterator[list[str]]:
    """A command line that does what `python -m qanat` does, and starts at once."""
    with started() as command:
        yield command
