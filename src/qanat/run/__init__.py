"""Walk a plan; commit; recover. The only layer that may catch any error.

Read `workspace` (an opened project with its adapters), `compiled` (a flow ready to run),
`reach` (what a flow has not read yet, and that data bound for the engine), then the write path:
`epoch` (one atomic step; `publish` is its last act), `recovery` (what a crash left behind),
`lease` (one update at a time) and `update` (all datasets, in parallel). The rest answers
questions without writing: `preview`, `validate`, `look`, `lineage`, `profile`, `expectations`,
`doctor`; `quarantine` also replays.
"""
