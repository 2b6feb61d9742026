"""URLs of object stores, and stores that cannot be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from qanat.connectors.files.source import FilesSource
from qanat.errors import AdapterError, SourceUnavailableError, UnsupportedError
from qanat.model.location import ObjectUrl
from qanat.objects import Objects
from qanat.testing.reading import reference, surroundings


@pytest.mark.parametrize(
    ("url", "kind", "config"),
    [
        ("s3://bucket/in/a.csv", S3Store, {"bucket": "bucket"}),
        ("s3a://bucket/in/a.csv", S3Store, {"bucket": "bucket"}),
        ("gs://bucket/in/a.csv", GCSStore, {"bucket": "bucket"}),
        (
            "abfss://box@account.dfs.core.windows.net/in/a.csv",
            AzureStore,
            {"container_name": "box", "account_name": "account"},
        ),
        ("az://box/in/a.csv", AzureStore, {"container_name": "box"}),
    ],
)
def test_urls(
    url: str, kind: type, config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    parsed = ObjectUrl.parse(url)
    store = Objects().store(parsed)
    assert isinstance(store, kind)
    assert store.config == config
    assert parsed.key == "in/a.csv"
    assert ObjectUrl.parse(str(parsed)) == parsed


def test_keys_are_taken_as_they_are() -> None:
    assert ObjectUrl.parse("s3://b/in/a%20b?c#d.csv").key == "in/a%20b?c#d.csv"


def test_a_scheme_with_a_typo() -> None:
    with pytest.raises(UnsupportedError) as caught:
        ObjectUrl.parse("abfsss://box/in")
    assert caught.value.nearest == "abfss"


def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    source = FilesSource(surroundings(Path("/nowhere")))
    with pytest.raises(SourceUnavailableError) as caught:
        source.everything(reference("files", "s3://bucket/in/*.csv"))
    assert caught.value.retryable
    assert "\n" not in caught.value.message


def test_an_endpoint_without_tls_must_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(AdapterError) as caught:
        FilesSource(surroundings(Path("/nowhere"))).everything(
            reference("files", "s3://bucket/in/*.csv")
        )
    assert "AWS_ALLOW_HTTP" in (caught.value.hint or "")
