"""The crash test: makes an update fail at every call that changes the disk, and checks the result.

Read `campaign` first: it runs a whole crash test. `replica` copies the project into `quarters`, a
temporary folder, as `Scenario`s. `case` defines what is tried, and `cases` lists all of it.

A `crew` of `worker` processes tries the cases. Each worker has a `slot`: a folder in which it
copies the project and starts a `trial` with a fault in a process of its own. `injector` builds
and arms the library of `fault.c`, which counts the calls and makes one of them fail; `trace`
reads the record of the calls; `disk_model` builds from it what a disk may hold after a power
loss; `ending` makes sure that no process outlives the test.

Afterwards the slot runs the update again without a fault and compares: `picture` is what tables
and sinks hold, and a `reference` what they hold without any fault. `judge` checks the disk, with
`accounts` (the ledger's counts), `deliveries` (what sinks hold) and an `inventory` (the files of
the storage); `question` asks the engine for rows. `excuse` says which errors a fault explains.

The verdicts go into a `journal`. A `report` adds them up; a `document` has it as JSON, and a
`page` shows it, with a `strip` for each scenario and a `histogram`, in the words of the
`glossary`.
"""
