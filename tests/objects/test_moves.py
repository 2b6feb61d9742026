"""A table that moves while another tool writes to it."""

from __future__ import annotations

import pytest

from qanat.errors import AdapterError
from qanat.model.location import ObjectUrl
from tests.objects.proxy import Exchange
from tests.objects.site import Site

pytestmark = pytest.mark.services


def test_no_entry_of_another_tool_is_taken_for_a_copy(
    bucket: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qanat.objects import Objects
    from qanat.storage.delta.remote_moves import move

    old = [f"shop/old/_delta_log/{n:020}.json" for n in range(3)]
    for key in old:
        bucket.put(key, key.encode())

    def meet(exchange: Exchange) -> None:
        request = exchange.request
        if request.method == "PUT" and request.key.endswith(old[1][-25:]):
            bucket.put(request.key, b"of another tool")
        exchange.answer(exchange.forward())

    with bucket.proxy(meet) as proxy:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        urls = (ObjectUrl.parse(f"s3://lake/shop/{name}") for name in ("old", "new"))
        with pytest.raises(AdapterError, match="there is something else"):
            move(Objects(), *urls, None)
    assert {*old} < bucket.sizes().keys()
