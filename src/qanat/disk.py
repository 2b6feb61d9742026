"""What it takes for files to survive a power loss."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable.

    A file is there after a power loss when its content was synced and then its name, which is
    in its folder; a new folder when its own name was, in the folder above.

    Raises:
        OSError: the disk could not do it; what was written may be lost.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
