"""What a person sees while an update runs: `progress` on a terminal, `lines` elsewhere.

`tally` adds up what the events of one dataset say, `remarks` words what stopped nothing.
"""
