"""Imports what a command may need, in the process from which commands are forked."""

from __future__ import annotations

import gc
from importlib import import_module

from tests.started import LIBRARIES, ours

for _name in (*LIBRARIES, *ours(), "obstore.store", "tests.objects.books"):
    import_module(_name)
gc.freeze()  # Garbage is not looked for among them, so the processes share their memory.
