"""Decide; walk; commit; recover. The only layer that may catch any error.

Read `session` (an opened project with its adapters), `compiled` and `analysis` (flows ready to
run; `memo` keeps them for the next time). Then what an update does with a dataset: `facts`
gathers, `decide` decides, `plan` shows the decision, and `refresh` carries it out. `inputs`
finds what a flow has not read, with the help of its `past`, and binds it for the engine.

The write path is `epoch`: the stages that every epoch takes, on an `attempt`. `task` is the
epoch as the engine sees it, `number` counts epochs, `publish` makes one visible, `published`
takes back half of one, and `replay` is an epoch whose rows come out of quarantine. `recovery`
deals with what a crash left behind, `consistency` compares ledger and tables.

`update` takes all datasets, in parallel, as `selection` chose them, with `lease` (one update at
a time), `gate` (an update that slept too long cannot commit), `pulse` (whether its process
lives), `entry` (its line in the ledger), `diary` (what it tells, kept there), `retry` and
`scratch`. `quarantine` shows quarantined rows and replays them. The rest answers questions
without writing: `validate`, `look`, `query`, `lineage`, `profile`, `expectations`, `doctor` and
`installation`; `stored` finds the tables they ask about, `results` (and `rows`, of a query) is
what all of them return.
"""
