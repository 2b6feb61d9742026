"""From the figures of a profile to candidates for checks: pure functions, no I/O.

`evidence` holds the figures, and `likely` says what they mean: confidence, chance, round numbers.
Each family of checks has a module: `complete` (NULL and empty texts), `keys`, `numbers`, `moments`
(dates and times), `texts`, `order` (one column never greater than another), `references` (to other
datasets), `history` (volume and freshness). `rules` runs them all, and drops what `said` finds in
the declared checks.

A rule yields ladders: candidates about the same thing, the strictest first. The caller tries them
on rows (`qanat.run.held_out`) and offers the first of each ladder that holds. So a rule may guess:
a wrong guess is refused there, and the next step of its ladder is tried.
"""
