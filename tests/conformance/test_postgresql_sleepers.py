"""A process asleep in a transaction blocks a ledger in PostgreSQL only for a short time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from qanat.errors import LedgerError
from qanat.ledgers.sql import postgresql as adapter
from qanat.ledgers.sql.postgresql import PostgresDatabase, PostgresLedger
from qanat.model.record import Lease
from qanat.testing.postgresql import postgresql

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture
def scope() -> str:
    return f"flights/{uuid4().hex}"


@pytest.fixture
def ledger(url: str, scope: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresLedger]:
    monkeypatch.setattr(adapter, "IDLE_SECONDS", 1.0)
    with closing(PostgresLedger(url, scope)) as found:
        yield found


@pytest.fixture
def expired(ledger: PostgresLedger) -> Lease:
    return ledger.acquire("before", -1)


@pytest.fixture
def touch(scope: str) -> str:
    """What locks the lease's row."""
    return f"UPDATE qanat_leases SET pid = pid WHERE scope = '{scope}'"


@pytest.fixture
def speaking(expired: Lease, url: str, touch: str) -> Iterator[None]:
    """A session that has said half of what it has to say: to the server it is not idle."""
    connection = psycopg.connect(url, application_name="qanat")
    with closing(connection):
        connection.execute("SELECT 1")
        connection.pgconn.enter_pipeline_mode()
        connection.pgconn.send_query_params(touch.encode(), None)
        connection.pgconn.send_flush_request()
        connection.pgconn.flush()
        # Its answer: by then the server holds the lock.
        connection.pgconn.get_result()
        yield


def test_who_sleeps_between_two_statements(
    ledger: PostgresLedger, expired: Lease, url: str, touch: str
) -> None:
    def sleep(sleeper: PostgresDatabase) -> None:
        with sleeper.writing() as transaction:
            transaction.write(touch)
            ledger.acquire("next", 60)
            transaction.write(touch)

    gone = pytest.raises(LedgerError, match="idle-in-transaction")
    with closing(PostgresDatabase(url)) as sleeper, gone:
        sleep(sleeper)
    (held,) = ledger.held()
    assert held.holder == "next"


@pytest.mark.usefixtures("speaking")
def test_who_sleeps_in_the_middle_of_a_statement(ledger: PostgresLedger) -> None:
    lease = ledger.acquire("next", 60)
    assert ledger.renew(lease, 60).holder == "next"


@pytest.mark.usefixtures("speaking")
def test_who_does_not_take_the_lease_hears_what_is_in_the_way(
    ledger: PostgresLedger, expired: Lease
) -> None:
    with pytest.raises(LedgerError, match="is locked") as caught:
        ledger.renew(expired, 60)
    assert "pg_stat_activity" in str(caught.value)
