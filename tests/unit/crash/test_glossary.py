"""Every word that a crash test uses is explained."""

from __future__ import annotations

from qanat.crash.campaign import KINDS
from qanat.crash.disk_model import Loss
from qanat.crash.glossary import FAULTS, LOSSES


def test_each_kind_and_each_loss_is_explained() -> None:
    assert tuple(FAULTS) == KINDS
    assert set(LOSSES) == {loss.value for loss in Loss}
