from __future__ import annotations

from pathlib import Path

import pytest

from tests.streams.projects import Streams


@pytest.fixture
def streams(tmp_path: Path) -> Streams:
    return Streams(tmp_path)
