"""What a pipeline is: frozen values, no I/O, standard library only.

Read the modules in this order: `location` (where the author wrote it), `schema`
(columns and types), `expectation`, `query`, `dataset`, `flow`, `project`, `pipeline` (all of the
above together), then what happens when it runs: `position` (how far a flow has read),
`batch` (the data of one epoch, bound for an engine), `work` (that epoch, and what an engine
made of it), `record` (what the ledger remembers), `plan` (what an update would do), `event`
(what an update tells while it runs), `event_record` (that, as it is kept).
"""
