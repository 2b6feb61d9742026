"""What a person sees while an update runs: `progress` on a terminal, `lines` elsewhere.

`bar` is for long work of many like pieces.
`characters` makes text from data safe to print, `amounts` makes numbers easy to read,
`tally` adds up what the events of one dataset say, `remarks` words what stopped nothing,
`narrative` words every event for those who look back.
"""
