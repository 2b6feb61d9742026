"""Where things lie: in a folder of this machine, or in an object store."""

from __future__ import annotations

from qanat.errors import OptionError, UnsupportedError, nearest
from qanat.frozen import Frozen

_SCHEMES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "az": "az",
    "azure": "az",
    "abfs": "abfss",
    "abfss": "abfss",
}


def is_url(location: str) -> bool:
    """True if a location is in an object store; `file://` is this machine.

    >>> is_url("s3://lake/shop"), is_url("/data/shop"), is_url("file:///data/shop")
    (True, False, False)
    """
    scheme, mark, _ = location.partition("://")
    return bool(mark) and scheme.lower() != "file"


def meant_url(location: str) -> str | None:
    """The URL that a path with a slash too few was meant to be; None for any other.

    >>> meant_url("s3:/lake/shop"), meant_url("s3://lake/shop"), meant_url("data/shop")
    ('s3://lake/shop', None, None)
    """
    scheme, colon, rest = location.partition(":")
    wrong = colon and scheme.lower() in _SCHEMES and not rest.startswith("//")
    return f"{scheme.lower()}://{rest.lstrip('/')}" if wrong else None


class ObjectUrl(Frozen):
    """Where an object or prefix is.

    Args:
        store: the bucket or container, as a URL without a path.
        key: of the object, or the prefix of several; nothing in it is percent-encoded.

    >>> ObjectUrl.parse("s3a://bucket/in/*.csv")
    ObjectUrl(store='s3://bucket', key='in/*.csv')
    """

    store: str
    key: str

    @staticmethod
    def is_known(url: str) -> bool:
        """True if the URL is one of an object store that Qanat knows.

        >>> ObjectUrl.is_known("s3a://lake/shop"), ObjectUrl.is_known("hdfs://lake/shop")
        (True, False)
        """
        return url.partition("://")[0].lower() in _SCHEMES

    @staticmethod
    def parse(url: str, reader: str = "read_files") -> ObjectUrl:
        """Take a URL apart.

        Args:
            reader: what was told the URL, for messages.

        Raises:
            UnsupportedError: the scheme is none of an object store that Qanat knows.
            OptionError: there is no bucket in it.
        """
        written, _, rest = url.partition("://")
        scheme = _SCHEMES.get(written.lower())
        if scheme is None:
            raise UnsupportedError(
                f"{reader} does not read {url!r}",
                wanted="a local path, s3://, gs://, abfss:// or az://",
                nearest=nearest(written, _SCHEMES),
            )
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise OptionError(
                f"the URL {url!r} names no bucket", wanted="such as s3://bucket/path"
            )
        return ObjectUrl(f"{scheme}://{bucket}", key.lstrip("/"))

    def below(self, path: str) -> ObjectUrl:
        """What lies at a path below this prefix.

        >>> str(ObjectUrl("s3://lake", "shop").below("tables/bronze"))
        's3://lake/shop/tables/bronze'
        """
        return ObjectUrl(self.store, f"{self.key}/{path}" if self.key else path)

    def __str__(self) -> str:
        return f"{self.store}/{self.key}"
