"""What an operator should know although it stopped nothing, as one line each."""

from __future__ import annotations

from qanat.model.event import Event, Recovered, Retried, Warned
from qanat.text.amounts import duration
from qanat.text.characters import printable


def remark(event: Event) -> str | None:
    """The line for a warning, a retry or a recovery; None for all other events.

    >>> remark(Warned("silver", "the clock was set back"))
    'silver: warning: the clock was set back'
    """
    match event:
        case Recovered(dataset, flow, epoch, how):
            text = f"{dataset}: recovered epoch {epoch} of {flow}: {how}"
        case Retried(dataset, attempt, error, wait_seconds):
            wait = duration(wait_seconds)
            text = f"{dataset}: attempt {attempt} failed, trying again in {wait}: {error}"
        case Warned(None, message):
            text = f"warning: {message}"
        case Warned(dataset, message):
            text = f"{dataset}: warning: {message}"
        case _:
            return None
    return printable(text)
