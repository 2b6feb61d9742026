"""Kill, starve and lie to an update at every call by which it changes the disk, and compare.

In the order of a test: `injector` builds and arms the library of `fault.c`, which counts the
calls and makes one of them fail; `trace` reads the record that it keeps; `disk` builds from such
a record what a disk may hold after a power loss. `case` says what is tried, `cases` which there
are. `slot` tries one: in processes of its own, each an `attempt`, on a copy of a project. When
all has gone wrong that should, the update is run once more, and `judge` and `picture` look at
what there is: `accounts` asks whether the ledger is right, with `deliveries` of sinks and an
`inventory` of the storage; `excuse` which errors a fault explains; a `reference` is what comes of
it undisturbed. A `worker` does that for a `crew`; what came of it goes into a `journal`, and from
there into a `report`, which a `document` has as JSON and a `page` of `strip`s and a `histogram`
shows, in the words of a `glossary`. `replica` copies a project of anybody's into `quarters`, which
are gone afterwards, as by `ending` all processes are; and `sweep` puts it all together.
"""
