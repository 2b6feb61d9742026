"""What a pipeline is: frozen values, no I/O, standard library only.

Read the modules in this order. What an author writes: `location` (where it stands), `schema`
(columns and types), `expectation`, `source` (what a query reads), `query`, `dataset`, `flow`,
`project`, `pipeline` (all of these together). What adapters say of themselves: `options` and
`adapter`. What happens when a pipeline runs: `decision` (what an update does with each dataset,
and why), `position` (how far a flow has read), `table` (which table is meant), `change` (what an
epoch does to it), `batch` (the data of one epoch, bound for an engine), `work` (that epoch, and
what an engine made of it), `record` (what the ledger remembers), `event` (what an update tells
while it runs) and `event_record` (that, as it is kept).
"""
