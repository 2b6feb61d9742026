"""The few protocols that everything below the runner implements.

Each is small enough to implement for a new system in a day, and `qanat.testing` has one
conformance suite for each. `engine` computes, `store` keeps tables, `ledger` remembers,
`source` finds data outside, `sink` puts data outside, `observer` listens.
"""
