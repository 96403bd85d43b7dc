"""States of a campaign, and what changes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from trunkline.core.errors import InvalidState


class CampaignState(StrEnum):
    READY = "ready"
    """Created; nobody has been called."""
    RUNNING = "running"
    """Leads are called when their time has come."""
    STOPPED = "stopped"
    """No further call begins; calls that ring or talk go on."""
    FINISHED = "finished"
    """No lead is left to be called."""


class Action(StrEnum):
    """What changes the state."""

    START = "start"
    STOP = "stop"
    EXHAUSTED = "exhausted"
    """All leads are closed."""


MOVES: Mapping[tuple[CampaignState, Action], CampaignState] = MappingProxyType(
    {
        (CampaignState.READY, Action.START): CampaignState.RUNNING,
        (CampaignState.STOPPED, Action.START): CampaignState.RUNNING,
        (CampaignState.FINISHED, Action.START): CampaignState.RUNNING,
        (CampaignState.RUNNING, Action.START): CampaignState.RUNNING,
        (CampaignState.RUNNING, Action.STOP): CampaignState.STOPPED,
        (CampaignState.STOPPED, Action.STOP): CampaignState.STOPPED,
        (CampaignState.FINISHED, Action.STOP): CampaignState.STOPPED,
        (CampaignState.RUNNING, Action.EXHAUSTED): CampaignState.FINISHED,
    }
)
"""Every move. An action that is not here for a state is refused; the same state: it is repeated without effect."""


def state_after(state: CampaignState, action: Action) -> CampaignState:
    """
    :raises InvalidState: the action is not possible in this state.
    """
    found = MOVES.get((state, action))
    if found is None:
        raise InvalidState(
            f"A campaign that is {state.value} cannot {action.value}", field="state", value=state
        )
    return found
