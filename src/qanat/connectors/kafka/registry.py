"""A schema registry that speaks Confluent's API: schemas by number, and numbers by schema."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from qanat.connectors.kafka.options import Secret
from qanat.errors import (
    AdapterError,
    OptionError,
    QanatError,
    SchemaMismatchError,
    SourceUnavailableError,
)
from qanat.frozen import Frozen
from qanat.model.written import Written

_SECONDS = 20.0
_TYPE = "application/vnd.schemaregistry.v1+json"
_LOST = frozenset({40403, 40401, 40402})
"""Error codes of the API: no such schema, subject or version."""
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


class Access(Frozen):
    """How to reach a registry.

    Args:
        urls: of its servers; the first that answers is asked.
        user, password: for basic authentication.
        token: for bearer authentication.
        authority: a file with certificates (PEM) to trust; empty for those of the system.
        certificate, key: files with a client's certificate and its key.
    """

    urls: tuple[str, ...]
    user: str = ""
    password: Secret | None = None
    token: Secret | None = None
    authority: str = ""
    certificate: str = ""
    key: str = ""

    @staticmethod
    def of(options: Mapping[str, Any]) -> Access | None:
        """That of a reference or a sink; None if its options name no registry.

        Raises:
            OptionError: the options do not go together, or are no URLs.
        """
        text = options.get("schema_registry")
        given = [n for n in options if n.startswith("schema_registry_")]
        if text is None:
            if given:
                raise OptionError(
                    f"the option {given[0]!r} says how to reach a registry, and none is named",
                    wanted="schema_registry => 'https://…'",
                )
            return None
        urls = tuple(filter(None, (u.strip().rstrip("/") for u in str(text).split(","))))
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise OptionError(
                    "the option 'schema_registry' does not fit",
                    wanted="a URL such as https://registry.example.com:8081",
                )
            if parts.password is not None or parts.username is not None:
                raise OptionError(
                    "the URL of the schema registry has a user in it",
                    wanted="schema_registry_user => '…', schema_registry_password => '…'",
                )
        found = {n.removeprefix("schema_registry_"): options[n] for n in given}
        if found.get("token") and found.get("user"):
            raise OptionError("a schema registry takes a token, or user and password, not both")
        return Access(urls, **{_NAMES.get(n, n): v for n, v in found.items()})


_NAMES = {"ca": "authority"}


class RegistryClient:
    """Asks a registry, and keeps what it has answered: a schema's number never changes.

    Args:
        access: how to reach it.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._schemas: dict[int, Written] = {}
        self._numbers: dict[tuple[str, str, str], int] = {}
        context = None
        if any(url.startswith("https") for url in access.urls):
            context = _context(access)
        self._opener = build_opener(HTTPSHandler(context=context))

    def schema(self, number: int) -> Written | None:
        """The schema of a number; None if there is none.

        Raises:
            SourceUnavailableError: no server answers.
            AdapterError: it does not let us in, or answers what is no answer.
        """
        with self._lock:
            if number not in self._schemas:
                answer = self._ask("GET", f"/schemas/ids/{number}")
                if answer is None:
                    return None
                self._schemas[number] = self._written(answer)
            return self._schemas[number]

    def register(self, subject: str, written: Written) -> int:
        """The number of a schema under a subject; it is registered if it is not.

        Args:
            written: what it refers to is registered under its own name.

        Raises:
            SchemaMismatchError: it is not compatible with the subject's newest.
            SourceUnavailableError, AdapterError: as for `schema`.
        """
        with self._lock:
            key = (subject, written.kind, written.text)
            if key not in self._numbers:
                self._numbers[key] = self._register(subject, written)
            return self._numbers[key]

    def _register(self, subject: str, written: Written) -> int:
        body: dict[str, Any] = {"schema": written.text}
        if written.kind != "AVRO":
            body["schemaType"] = written.kind
        if written.references:
            body["references"] = [
                {"name": name, "subject": name, "version": self._version(name, written)}
                for name in written.references
            ]
        path = f"/subjects/{quote(subject, safe='')}"
        answer = self._ask("POST", f"{path}/versions", body, subject)
        if answer is None or type(answer.get("id")) is not int:
            raise self._no_answer()
        return int(answer["id"])

    def _version(self, name: str, written: Written) -> int:
        """The version of what a schema refers to, registered under its own name."""
        inner = Written(written.kind, written.references[name])
        body = {"schema": inner.text, "schemaType": inner.kind}
        self._register(name, inner)
        answer = self._ask("POST", f"/subjects/{quote(name, safe='')}", body, name)
        if answer is None or type(answer.get("version")) is not int:
            raise self._no_answer()
        return int(answer["version"])

    def _written(self, answer: Mapping[str, Any]) -> Written:
        found: dict[str, str] = {}
        self._refer(answer, found)
        return Written(_kind(answer), self._text(answer), found)

    def _refer(self, answer: Mapping[str, Any], found: dict[str, str]) -> None:
        """Add what a schema refers to; what that refers to comes first."""
        for each in answer.get("references") or ():
            name = str(each["name"])
            if name in found:
                continue
            subject, version = quote(str(each["subject"]), safe=""), int(each["version"])
            other = self._ask("GET", f"/subjects/{subject}/versions/{version}")
            if other is None:
                raise AdapterError(
                    f"a schema refers to version {version} of {each['subject']!r}, which the"
                    " schema registry does not have"
                )
            self._refer(other, found)
            found[name] = self._text(other)

    def _text(self, answer: Mapping[str, Any]) -> str:
        text = answer.get("schema")
        if not isinstance(text, str):
            raise self._no_answer()
        return text

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, subject: str = ""
    ) -> dict[str, Any] | None:
        """An answer; None if there is no such thing."""
        trouble: QanatError | None = None
        for url in self._access.urls:
            request = Request(  # noqa: S310 - `Access.of` takes only http and https
                url + path,
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Accept": _TYPE, "Content-Type": _TYPE, **self._login()},
            )
            try:
                with self._opener.open(request, timeout=_SECONDS) as response:
                    return self._parsed(response.read())
            except HTTPError as error:
                with error:
                    told = _told(error.read())
                if error.code in _BUSY:
                    trouble = self._unavailable(f"{error.code} {told[1]}".strip())
                    continue
                if error.code == 404 and told[0] in _LOST:
                    return None
                raise self._refused(error.code, told[1], subject) from error
            except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
                trouble = self._unavailable(str(getattr(error, "reason", "") or error))
        raise trouble or self._no_answer()

    def _login(self) -> dict[str, str]:
        access = self._access
        if access.token is not None:
            return {"Authorization": f"Bearer {access.token.text}"}
        if access.user:
            password = access.password.text if access.password else ""
            pair = b64encode(f"{access.user}:{password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except ValueError as error:
            raise self._no_answer() from error
        if not isinstance(found, dict):
            raise self._no_answer()
        return found

    @property
    def _place(self) -> str:
        return ", ".join(self._access.urls)

    def _unavailable(self, got: str) -> QanatError:
        return SourceUnavailableError(
            f"the schema registry at {self._place} does not answer",
            got=got,
            hint="check the option schema_registry, and that the registry runs",
        )

    def _no_answer(self) -> QanatError:
        return AdapterError(
            f"what {self._place} answers is not Confluent's API of a schema registry",
            hint="the path may be missing from the URL: that of Apicurio is /apis/ccompat/v7",
        )

    def _refused(self, status: int, told: str, subject: str) -> QanatError:
        if status in (401, 403):
            return AdapterError(
                f"the schema registry at {self._place} does not let us in",
                got=f"{status} {told}".strip(),
                hint="check schema_registry_user and schema_registry_password, or"
                " schema_registry_token",
            )
        if status in (409, 422) and subject:
            return SchemaMismatchError(
                f"the schema registry refuses the schema of the rows for {subject!r}",
                got=told or str(status),
                hint="change the query so that its columns are compatible, or the subject's"
                " compatibility in the registry",
            )
        if status == 404:
            return self._no_answer()
        return AdapterError(
            f"the schema registry at {self._place} refuses the request",
            got=f"{status} {told}".strip(),
        )


def _kind(answer: Mapping[str, Any]) -> str:
    return str(answer.get("schemaType") or "AVRO").upper()


def _told(body: bytes) -> tuple[int, str]:
    """The code and the message of an error."""
    try:
        found = json.loads(body)
    except ValueError:
        return 0, ""
    if not isinstance(found, dict):
        return 0, ""
    code = found.get("error_code")
    return code if isinstance(code, int) else 0, str(found.get("message") or "")[:300]


def _context(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=access.authority or None)
        if access.certificate:
            context.load_cert_chain(access.certificate, access.key or None)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(
            "the certificates for the schema registry cannot be read",
            wanted="files in PEM: schema_registry_ca, schema_registry_certificate,"
            " schema_registry_key",
            got=str(error),
        ) from error
    return context
