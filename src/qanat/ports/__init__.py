"""The few protocols between `qanat.run` and the adapters.

The suites in `tests/conformance` hold stores, ledgers and engines to theirs. `engine` computes,
`store` keeps tables, `ledger` remembers (`pauses`, `requests`, `runs`, `metrics` and `outbox`
among it, and `retention`, which forgets), `source` finds data outside, `sink` puts data outside,
`observer` listens, and `witness` reads tables for crash tests, without their store.
"""
