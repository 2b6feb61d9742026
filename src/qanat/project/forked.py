"""Imported by the process that those of due runs are forked from, and by no other.

It imports what updates need, so that each starts within milliseconds.
"""

from __future__ import annotations

from qanat.frozen import compile_all
from qanat.project import worker as worker

compile_all()
