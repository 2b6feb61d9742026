"""The meaning of the words that a crash test uses for faults, losses and scenarios."""

from __future__ import annotations

FAULTS = {
    "kill": "the process is killed before the call",
    "torn": "half of a write is written, then the process is killed",
    "eio": "the call fails with an error of the disk",
    "enospc": "the call fails for want of space, those after it succeed",
    "full": "the disk is full from the call on",
    "stop": "the process sleeps before the call, and another update runs meanwhile",
    "cut": "what is sent to a database arrives, its answer does not",
    "rival": "two updates at once, one of which is killed before the call",
    "recovery": "killed, and killed again while it recovers, up to five times",
    "power": "the power goes after the call, and with it what was not synced",
}
"""What happens in each kind of case, in the order in which the page shows them."""
LOSSES = {
    "all": "nothing of it came to the disk",
    "content": "file names came, what is in the files did not: they are empty",
    "zeros": "names and sizes came, and zeros where content is missing",
    "names": "content came, the names did not",
    "part": "some of either came",
}
"""What each kind of power loss does to what was not synced."""
SCENARIOS = {
    "first-run": "an update as if the project had never run",
    "run": "an update of the project as it is",
    "full-refresh": "an update that computes every table anew",
    "replay": "quarantined rows are checked again",
}
"""The scenarios of a user's project."""
