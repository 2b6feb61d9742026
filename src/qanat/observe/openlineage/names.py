"""Names of jobs, and identifiers of runs, that are the same however often they are made."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from qanat.model.record import UpdateRecord

NAMESPACE = "qanat"
"""The namespace of jobs where the author gives none."""


def job_name(project: str, environment: str, dataset: str | None = None) -> str:
    """The name of the job that brings a project, or one of its datasets, up to date.

    >>> job_name("shop", "prod"), job_name("shop", "prod", "silver_orders")
    ('shop/prod', 'shop/prod/silver_orders')
    """
    return "/".join(filter(None, (project, environment, dataset)))


def run_id(job: str, update: UpdateRecord) -> str:
    """The identifier of the run of a job in an update: a UUID of version 7.

    Its time is the start of the update, all other bits are a digest of job and update.

    >>> run_id("shop/dev", UpdateRecord("20261130T010315-f4eed8", "dev", "run", 1796000595.25))
    '01a229fa-3d32-72de-a35a-ddb4c6c75ded'
    """
    digest = int.from_bytes(sha256(f"{update.id}\0{job}".encode()).digest()[:10])
    milliseconds = int(update.started * 1000) & (1 << 48) - 1
    high = milliseconds << 16 | 7 << 12 | digest >> 62 & 0xFFF
    low = 0b10 << 62 | digest & (1 << 62) - 1
    return str(UUID(int=high << 64 | low))
