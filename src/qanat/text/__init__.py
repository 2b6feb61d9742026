"""How numbers, sizes, durations and tables are written for people, and read from them.

`amounts` writes counts, sizes and durations; `quantities` reads the sizes and durations that
people write into specs and options; `characters` makes text from data safe for a terminal and
measures it; `style` says how a text looks without saying where it goes; `grid` lays out tables.
"""
