"""Queue callbacks as calls: the customer is called, and waits at its place with the first offer to the reserved agent.

The rules are in :mod:`trunkline.queues.callbacks`. A call has the caller whom it calls back in its ``external_id``, so a
restarted switch finds it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.decision import Decision
from trunkline.calls.session import Phase, Session
from trunkline.calls.switch.dialer_facts import contact_leg
from trunkline.core.errors import TrunklineError
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.dialer.outcomes import DialOutcome, of_unanswered
from trunkline.queues import inputs as i
from trunkline.queues.effects import DialCallback

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch

MARK = "callback "
"""Beginning of the ``external_id`` of such a call; the id of the caller follows."""

_FAILURES = {
    DialOutcome.BUSY: i.CallbackFailure.BUSY,
    DialOutcome.NO_ANSWER: i.CallbackFailure.NO_ANSWER,
    DialOutcome.REJECTED: i.CallbackFailure.BUSY,
}

_log = get_logger("calls")


@dataclass(slots=True)
class _Call:
    account_id: int
    caller_id: int
    is_confirmed: bool = False


class CallbackCalls:
    """Calls to customers who asked to be called back.

    :param give: gives an input to the queues of an account.
    """

    def __init__(self, switch: Switch, give: Callable[[int, i.Input], None]) -> None:
        self._switch = switch
        self._give = give
        self._calls: dict[int, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(self, account_id: int, effect: DialCallback) -> None:
        """Call a customer."""
        call_session_id = self._switch.next_id()
        self._calls[call_session_id] = _Call(account_id, effect.caller_id)
        item_task(self._start(account_id, call_session_id, effect), name="callback", among=self._tasks)

    async def _start(self, account_id: int, call_session_id: int, effect: DialCallback) -> None:
        params = {
            "contact": effect.number,
            "queue_id": effect.queue_id,
            "ring_seconds": effect.seconds,
            "external_id": f"{MARK}{effect.caller_id}",
        }
        try:
            await self._switch.commands.start_lead_call(account_id, call_session_id, params)
        except TrunklineError as error:
            _log.warning(
                "callback_not_begun",
                account_id=account_id,
                error=error.message,
                consequence="it counts as a try; the customer is called again after the pause of the queue",
                remedy="see the limits of outgoing calls of the account, and its default number",
            )
            if self._calls.pop(call_session_id, None) is not None:
                self._give(account_id, i.CallbackFailed(effect.caller_id, i.CallbackFailure.FAILED))

    def call_to(self, caller_id: int) -> int | None:
        """The call to a customer; None: none is being made."""
        return next((call for call, one in self._calls.items() if one.caller_id == caller_id), None)

    def joined(self, given: i.JoinQueue) -> i.JoinQueue | i.CallbackConfirmed:
        """A call enters its queue: that of a callback is the answer of its customer."""
        found = self._calls.get(given.call_session_id)
        if found is None or found.is_confirmed:
            return given
        found.is_confirmed = True
        return i.CallbackConfirmed(found.caller_id, given.call_session_id)

    def note(self, decision: Decision) -> None:
        """A decision about a call was applied."""
        session = decision.session
        if session.phase is not Phase.ENDED:
            return
        found = self._calls.pop(session.call_session_id, None)
        if found is not None and not found.is_confirmed:
            self._give(found.account_id, i.CallbackFailed(found.caller_id, _failure(session)))

    def adopt(self, sessions: Iterable[Session]) -> None:
        """Find the calls of a former process."""
        for session in sessions:
            if (caller_id := called_back(session)) is not None:
                self._calls.setdefault(session.call_session_id, _Call(session.account_id, caller_id))

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def called_back(session: Session) -> int | None:
    """The caller whom a call calls back; None: it is another call."""
    text = session.external_id or ""
    digits = text.removeprefix(MARK)
    is_ours = (
        text.startswith(MARK) and session.source == "callapi_scenario_call" and session.api_request_id is None
    )
    return int(digits) if is_ours and digits.isdecimal() else None


def _failure(session: Session) -> i.CallbackFailure:
    contact = contact_leg(session)
    if contact is None:
        return i.CallbackFailure.FAILED
    if contact.answered_at is not None:
        return i.CallbackFailure.NOT_CONFIRMED
    outcome = of_unanswered(contact.cause or 0, contact.sip_code)
    return _FAILURES.get(outcome, i.CallbackFailure.FAILED)
