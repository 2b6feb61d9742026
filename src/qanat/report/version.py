"""The version that stands in each document."""

from __future__ import annotations

VERSION = 1
