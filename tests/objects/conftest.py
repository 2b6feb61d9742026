"""A server and a site that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.testing.object_store import ObjectStore, object_store
from tests.objects.site import Site


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    """An S3 server."""
    with object_store() as found:
        yield found


@pytest.fixture
def bucket(server: ObjectStore, tmp_path: Path) -> Iterator[Site]:
    """A site with an empty bucket."""
    with Site(tmp_path / "site", server.environment) as made:
        for key in made.sizes():
            made._client.delete_object(Bucket=made.bucket, Key=key)
        yield made
