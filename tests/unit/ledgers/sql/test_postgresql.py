"""What errors say of a ledger in PostgreSQL; what it does is in `tests/conformance`."""

from __future__ import annotations

import pytest

from qanat.errors import LedgerError
from qanat.ledgers.sql.postgresql import PostgresLedger


def test_an_error_names_host_port_and_database_but_no_password() -> None:
    with pytest.raises(LedgerError) as caught:
        PostgresLedger("postgresql://ada:secret@127.0.0.1:1/shop", "shop/dev").updates(1)
    assert caught.value.message == "cannot reach the ledger postgresql://127.0.0.1:1/shop"
