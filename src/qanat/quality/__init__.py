"""What tells good data from bad, without any of its rows.

`expectations` finds columns of rules that do not exist, `contracts` what breaks the promises of
data contracts. `anomalies` says which metrics of an
update are out of the ordinary: beyond the `limits` that errors of past forecasts set (`forecast`).
`masking` makes what is personal in rows unrecognisable. `suggestions` are checks that the profile
of a table makes one think of.
Import them one by one: only the first needs a parser of SQL.
"""
