"""Walk a plan; commit; recover. The only layer that may catch any error.

Read `workspace` (an opened project with its adapters), `compiled` and `analysis` (flows ready to
run; `memo` keeps them for the next time), `reach` (what a flow has not read yet, and that data
bound for the engine), then the write path: `epoch` (one atomic step; `number` counts them,
`publish` is its last act, `published` takes it back), `recovery` (what a crash left behind),
`consistency` (whether ledger and tables tell the same story), `refresh` (all epochs of one
dataset), `selection` (which datasets), `update` (all of them, in parallel), with `lease` (one
update at a time), `gate` (what keeps one that slept too long from committing), `pulse` (whether
its process lives), `entry` (its line in the ledger), `diary` (what it tells, kept there),
`retry` and `scratch`. `quarantine` looks at quarantined rows, `replay` moves those that pass now.
The rest answers questions without writing: `preview`, `validate`, `look`, `lineage`, `profile`,
`expectations`, `doctor` and `installation`; `stored` finds the tables they ask about, `results` is
what all of them return.
"""
