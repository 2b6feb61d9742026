"""Which checks a profile makes one think of: rules without I/O, from figures to candidates.

`evidence` is what they go by, `likely` what numbers may mean: confidence, round numbers, chance.
One module for each family: `complete` (NULL and empty), `keys`, `numbers`, `moments`, `texts`,
`order` (of two columns), `references` (to other datasets), `history` (volume and freshness).
`rules` lists them all. `said` tells what declared checks say already.

A rule gives ladders: candidates for the same thing, the strictest first; the first that holds is
offered. So a rule may be bold where another step would catch it.
"""
