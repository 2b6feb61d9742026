"""A folder and a bucket in which a worker tries cases, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from hashlib import md5
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config

from qanat.crash.slot import copy_project
from qanat.frozen import Frozen
from tests.objects.client import Client
from tests.objects.proxy import Meet, Proxy, passed_on

PREFIX = "shop"
"""Where the project's storage is in the bucket; what lies elsewhere is none of its affair."""


class Image(Frozen):
    """A project in a certain state: its folder, and what is in its bucket."""

    folder: Path
    objects: Mapping[str, bytes]


class Site:
    """A folder, and a bucket of an S3 server. Use it as a context manager.

    Args:
        folder: an absolute path, which is made.
        environment: the variables `AWS_…` by which the server is found.
        bucket: its name; everything in it is deleted.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], bucket: str = "lake") -> None:
        folder.mkdir()
        self.project = folder / "project"
        self.bucket = bucket
        self.environment = dict(environment)
        self._folder = folder
        self._outputs = 0
        self._client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=1),
        )
        self.plain = self.proxy()
        """A proxy that lets everything pass."""
        if bucket not in [b["Name"] for b in self._client.list_buckets()["Buckets"]]:
            self._client.create_bucket(Bucket=bucket)

    @property
    def storage(self) -> str:
        """The URL of the project's storage."""
        return f"s3://{self.bucket}/{PREFIX}"

    def __enter__(self) -> Self:
        self.plain.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.plain.__exit__()

    def proxy(self, meet: Meet = passed_on) -> Proxy:
        """A proxy before the server."""
        return Proxy(self.environment["AWS_ENDPOINT_URL"], meet)

    def start(
        self,
        proxy: Proxy,
        words: Sequence[str],
        impatient: bool = False,
        patch: str = "",
        elsewhere: bool = False,
    ) -> Client:
        """Start a command of Qanat that reaches the server through a proxy.

        Args:
            elsewhere: without what earlier commands have kept of the bucket, as on a machine that
                has only the ledger in common.
        """
        environment = self.environment | {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "QANAT__THREADS": "1",
            "XDG_CACHE_HOME": str(self.project / ".cache"),
        }
        self._outputs += 1
        if elsewhere:
            environment["XDG_CACHE_HOME"] = str(self.project / f".cache-{self._outputs}")
        output = self._folder / f"output-{self._outputs}.txt"
        return Client(self.project, words, environment, output, impatient, patch)

    def restore(self, image: Image) -> None:
        """Make folder and bucket what they are in an image."""
        for output in self._folder.glob("output-*.txt"):
            output.unlink()
        if self.project.exists():
            shutil.rmtree(self.project)
        copy_project(image.folder, self.project)
        for key, upload in self.uploads():
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        there = self._listed()
        gone = [{"Key": key} for key in there if key not in image.objects]
        if gone:
            self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": gone})
        for key, content in image.objects.items():
            # The ETag of what was written in one request is its digest.
            digest = md5(content, usedforsecurity=False).hexdigest()
            if key not in there or there[key]["ETag"].strip('"') != digest:
                self.put(key, content)

    def image(self, folder: Path) -> Image:
        """What folder and bucket are now."""
        objects = {key: self.read(key) for key in self.sizes()}
        return Image(copy_project(self.project, folder), objects)

    def sizes(self) -> dict[str, int]:
        """The objects of the bucket, with their sizes in bytes."""
        return {key: found["Size"] for key, found in self._listed().items()}

    def _listed(self) -> dict[str, Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {o["Key"]: o for page in pages for o in page.get("Contents", ())}

    def uploads(self) -> list[tuple[str, str]]:
        """Key and identifier of all uploads in parts that nobody has ended."""
        found = self._client.list_multipart_uploads(Bucket=self.bucket)
        return [(u["Key"], u["UploadId"]) for u in found.get("Uploads", ())]

    def read(self, key: str) -> bytes:
        """The content of an object."""
        content: bytes = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self.bucket, Key=key, Body=content)
