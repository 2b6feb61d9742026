"""What a pipeline is: frozen values, no I/O, standard library only (and cronsim, in `trigger`).

Read the modules in this order. How names are compared: `name`; where things lie: `location`. What
an author writes: `dialect` (of SQL), `schema` (columns and types), `inference` (of types that
nobody declared), `query` (and what it reads), `chosen` (of columns), `changes` (how rows change a
table, as those of AUTO CDC), `feed` (how others are told), `snapshots`, `keyed`, `merge_into`,
`results` and `adopted` (other kinds of changes), `span` (of time), `stateful` (what a query keeps
from epoch to epoch), `lateness` (rows that come too late), `function` (what SQL can call), `rule`
and `expectation` (what is checked), `pipeline` (datasets, flows, the project), `side` (tables
beside those of datasets), `contract` (what is promised of datasets), `unit_test` (rows in, rows
out), `trigger` and `schedule` (when datasets are updated by themselves). What adapters say of
themselves: `adapter` (options and connectors), `envelope` (what messages are wrapped in),
`written` (schemas that they were written by), `kind` (the others). What happens when a pipeline
runs: `upkeep` (how tables are maintained), `quarantine` (rows that wait in one), `amount` (how
much waits), `work` (the data of one epoch, bound for an engine), `staged` (what that made of it),
`limit` (how much of that may go to quarantine), `record` (what the ledger remembers, such as how
far a flow has read), `metrics` (what is kept of an update's rows), `anomaly` (what is out of the
ordinary there), `profile` (what a look at all rows of a table tells of its columns), `backtest`
(what checks would have done), `suggestion` (which ones data suggest), `table` (a stored table, and
what an epoch does to it), `comparison` (of two relations by keys), `owner` (whose it is), `move`
(what gets another name, or goes), `kept` (what a flow keeps, as people see it), `event` (what an
update tells while it runs), `observer` (who else is told), `outbox` (what of it has still to be
delivered), `portrait` (a dataset as catalogs describe it).
"""
