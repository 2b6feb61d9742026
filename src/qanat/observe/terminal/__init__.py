"""What a person sees while an update runs: `progress` on a terminal, `lines` elsewhere.

Of an update that does not end by itself, `continuous` shows rates instead.
"""
