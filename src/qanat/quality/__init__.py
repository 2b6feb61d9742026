"""What tells good data from bad, without any of its rows.

`expectations` finds columns of rules that do not exist. `anomalies` says which metrics of an
update are out of the ordinary (`masking`: what is personal in rows, made unrecognisable): beyond the `limits` that errors of past forecasts set (`forecast`).
Import them one by one: only the first needs a parser of SQL.
"""
