"""Whatever a crash test says is explained."""

from __future__ import annotations

from qanat.crash.disk_model import Loss
from qanat.crash.glossary import FAULTS, LOSSES
from qanat.crash.sweep import KINDS


def test_each_kind_and_each_loss_has_its_meaning() -> None:
    assert tuple(FAULTS) == KINDS
    assert set(LOSSES) == {loss.value for loss in Loss}
