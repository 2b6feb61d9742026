"""Decide; walk; commit; recover. The only layer that may catch any error.

Read `session` (an opened project with its adapters; `scratch` has the folders of processes),
`readable` (which table a read gets its rows from: this environment's, or another's), `settling`
(how far a quarantine's rows are there to stay), `neighbours` (tables of other projects), `memo`
(what the project's files mean: flows ready to run, kept for the next time) and `analysis` (makes
that, with `changing` for AUTO CDC). Then what an update does with a dataset: `dataset` gathers the
`facts`, `decide` decides (`told`: with which warnings; `kept`: whether rows were kept in another
way), `plan` shows the decision, with what `foresight` expects of columns, and `dataset` carries it
out. `inputs` finds what a flow has not read (`past`: what it has), and binds it for the engine;
`snapshots` finds which snapshot is due where a flow takes all that there is; `columns` are those
that a query gives, known without running it; `mistakes` are those of one dataset's declaration,
which `validate`, plans and updates tell in the same words; `full_refresh` says what has to start
over along with what, and what that would lose; `identity` refuses to read again, under another
name, what is there already, and `dropped` to read another table beside one of its name; `owner`
refuses to change tables of other projects, `sinks` to send where another environment does.

The write path is `epoch`: the stages that every epoch takes, on an `attempt`; `merging` says how
one meets the rows that its table has, `correcting` whose rows go because a source file has new
content (`asked`: files that a command names; `earlier`: rows that earlier releases wrote),
`succession` whether their order matters, `partitions` refuses others than that has, `auditing`
checks what rules say of the table, `blame` says whose error ended one, `drift` how it changes the
columns of its table, `states` what it finds in the state of a flow that keeps one (`operators`
finds these in queries). `sides` are the tables to which an epoch commits before its own:
quarantines and states. `commits` numbers epochs, makes one visible or takes half of one back;
`mismatch` compares ledger and tables by them; `limit` stops an epoch of which too much would go to
quarantine, `pausing` a dataset of which too much has (`windows`: or of which too many break a
check; `sums` is what epochs add up to); `watching` looks for what is out of the ordinary with one,
`silence` for what has not come, and `clocked` checks rules that time alone violates; `replay` is
an epoch whose rows come out of it. `recovery` deals with what a crash left; `defined` is what the
ledger is to know of a dataset by an epoch that is not its update's last.

`promote` is an epoch whose rows another environment has computed: `handover` says what is taken
over with them, `carry` adds the rows that wait there in quarantine.

`upkeep` maintains tables: what it writes again is an epoch (`rearranged` is its work), and what is
old it deletes.

`entry` is the frame around everything that writes: a line in the history and its events, under a
`lease` (one update at a time; one that slept too long cannot commit), with a `pulse`. The events
go through its `diary` to the ledger, to whoever watches, and to the observers of the spec
(`observing`), each of which has a `courier`; `portraits` are what these may ask about datasets;
`alerting` tells them what a scheduler finds.
`update` takes all datasets, in parallel. `continuous` is an update that does not end: it looks at
datasets again and again, in the order of its `agenda` (which knows `entries`; `looks` are what it
looks at besides; `lending` lets other updates in). `scheduling` decides which runs of schedules
are due (by a `timetable`) and start, `due` carries one out, and `scheduled` shows them.
`quarantine` shows quarantined rows and replays them, `discard` throws them away; `origins` finds
out which lines of source files they were, `export` has them for other programs. `rename` and
`drop` give things other names or remove them: `names` says by which ones they are known, `moves`
carries out what was decided. The rest answers questions without writing: `validate`, `look` (at
what is `known`), `keeping` (what flows keep), `overview`, `accounting` (an `account` of one
update), `query`, `diff`, `lineage`, `manifest` (for orchestrators), `profile` (both of a
`subject`; `profiles` has those that updates keep), `contract` (for others), `expectations` (which
makes what is `checked`), `unit_tests` (on a `stand_in` of the project; `recording` writes them
from live data), `backtest` (checks on the rows that past epochs have `brought`: `trying` one
epoch, comparing it `among` others), `suggest` (checks by the `evidence` of older rows, tried on
what is `held_out`), `doctor` and `installation`; `stored` finds the tables they ask about,
`results` is what they return.
"""
