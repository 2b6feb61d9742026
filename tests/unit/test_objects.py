"""What a store's client raises, in our words."""

from __future__ import annotations

import pytest

from qanat.errors import AdapterError, SourceNotFoundError
from qanat.model.location import ObjectUrl
from qanat.objects import failures

# As object_store words them: it asks for the role of the machine once it has found no key.
NO_KEYS = (
    "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1ms - {}\n"
    "\nDebug source:\n…"
)


@pytest.mark.parametrize(
    ("what", "retryable"),
    [
        ("Server returned non-2xx status code: 403 Forbidden", False),
        ("HTTP error: error sending request", True),
    ],
)
def test_missing_keys_are_named(what: str, retryable: bool) -> None:
    with (
        pytest.raises(AdapterError, match="no credentials for 's3://lake'") as caught,
        failures(ObjectUrl("s3://lake", "shop/a.csv"), "read"),
    ):
        raise OSError(NO_KEYS.format(what))
    assert caught.value.hint == "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert caught.value.retryable is retryable
    assert "Debug" not in str(caught.value)


def test_a_bucket_that_is_not_there() -> None:
    with (
        pytest.raises(SourceNotFoundError, match="no bucket 's3://lakee'") as caught,
        failures(ObjectUrl("s3://lakee", "shop"), "list"),
    ):
        raise FileNotFoundError("<Code>NoSuchBucket</Code>")
    assert caught.value.hint == "create it, or name another one"
