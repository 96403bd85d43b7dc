"""Sequences that hypothesis tried on the pure rules, with real parties: every party has the state of the rules."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.call_scenarios import (
    ANNA,
    BORIS,
    CLARA,
    COACHES,
    CONTACT,
    Action,
    Beginning,
    CallScenario,
    Step,
    sample,
)
from tests.engine.callapi.client import ANNAS_NUMBER, CallApiClient
from tests.engine.callapi.client import BORIS as TO_BORIS
from tests.engine.callapi.client import CLARA as TO_CLARA
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Call, Customer, Ignore, Party

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

SCENARIOS = 13
"""Their output is in the note of a failure."""
_TO = {BORIS: TO_BORIS, CLARA: TO_CLARA}
_METHODS = {
    "hold_call": "hold.call",
    "unhold_call": "unhold.call",
    "make_call": "make.call",
    "restore_talk": "restore.talk",
    "transfer_talk": "transfer.talk",
    "release_call": "release.call",
    "disconnect_leg": "disconnect.leg",
    **dict.fromkeys(COACHES, "add.coach"),
}


class _Company:
    """The parties of a call scenario, which do nothing by themselves."""

    def __init__(self, client: CallApiClient, customer: Customer) -> None:
        setup = client.setup
        self.client = client
        self.session = 0
        self._parties: dict[str, Party] = {
            CONTACT: customer,
            ANNA: setup.anna,
            BORIS: setup.boris,
            CLARA: setup.clara,
        }
        self._calls: dict[str, Call] = {}
        for party in self._parties.values():
            party.on_call(Ignore())

    async def begin(self, beginning: Beginning) -> None:
        customer = self._parties[CONTACT]
        assert isinstance(customer, Customer)
        if beginning is not Beginning.IN:
            self.session = await self.client.start_employee_call(customer, beginning.value)
            return
        self._calls[CONTACT] = await customer.dial(ANNAS_NUMBER)
        for _ in range(60):
            for call in await self.client.setup.living():
                if call["contact_phone_number"] == customer.name:
                    self.session = int(call["call_session_id"])
                    return
            await asyncio.sleep(0.05)
        raise TimeoutError("the call does not come in")

    async def do(self, step: Step) -> str | None:
        """The mnemonic of a refusal."""
        if step.action is Action.COMMAND:
            return await self._command(step)
        call = await self._call_of(step.who)
        match step.action:
            case Action.ANSWER:
                await call.answer()
            case Action.REFUSE:
                await call.hangup(17)
            case Action.HANG_UP:
                await call.hangup()
            case Action.RING_OUT:
                await call.ended(10)
        return None

    async def _command(self, step: Step) -> str | None:
        params: dict[str, object] = {}
        if step.command == "hold_call":
            params = {"contact_message": self.client.message("word_to_contact")}
        elif step.command == "make_call":
            params = {"to": _TO[step.who]}
        elif step.command == "disconnect_leg":
            params = {"leg_id": await self._leg_of(step.who)}
        elif step.command in COACHES:
            params = {"phone_number": _TO[step.who], "mode": COACHES[step.command]}
        try:
            await self.client.do(self.session, _METHODS[step.command], **params)
        except ApiError as refused:
            return refused.mnemonic
        return None

    async def _leg_of(self, who: str) -> int:
        """The id of a party's leg, as ``list.calls`` shows it."""
        call = await self.client.living(self.session)
        assert call is not None
        for leg in call["legs"]:
            name = (leg["employee_full_name"] or CONTACT).split()[-1]
            if name == who:
                return int(leg["leg_id"])
        raise KeyError(who)

    async def _call_of(self, who: str) -> Call:
        """The call that a party has now."""
        call = self._calls.get(who)
        if call is not None and not call.is_ended:
            return call
        # Nothing can be done with one that was called off at once.
        while call is None or call.is_ended:
            call = self._calls[who] = await self._parties[who].next_call()
        await call.ringing()
        return call

    async def stand(self, states: dict[str, str]) -> None:
        """Until all stand so; nobody is left when that is nobody."""
        if states:
            await self.client.until_states(self.session, **states)
        else:
            await self.client.gone(self.session)

    async def ended(self) -> bool:
        calls = [call for party in self._parties.values() for call in party.calls]
        await asyncio.gather(*(call.ended() for call in calls))
        return True


@pytest.mark.parametrize("number", range(SCENARIOS))
async def test_the_engine_shows_the_same_scenario(client: CallApiClient, number: int) -> None:
    call_scenario = sample(SCENARIOS)[number]
    before = await client.setup.last_id()
    company = _Company(client, await client.setup.customer())
    await company.begin(call_scenario.beginning)
    await company.stand(call_scenario.first)
    for step, reported in enumerate(call_scenario.steps):
        try:
            assert await company.do(reported.step) == reported.refusal
            await company.stand(reported.states)
        except (AssertionError, TimeoutError) as error:
            error.add_note(f"step {step} of {_summary(call_scenario)}")
            raise
    assert await company.ended()
    assert await client.engine_bridges() == 0
    row = await client.setup.row(before)
    assert (row["id"], row["finish_reason"]) == (company.session, call_scenario.finish_reason), _summary(
        call_scenario
    )
    legs = [
        ((leg["employee_full_name"] or CONTACT).split()[-1], leg["finish_reason"])
        for leg in await client.setup.legs(company.session)
    ]
    assert sorted(legs) == call_scenario.legs, _summary(call_scenario)


def _summary(call_scenario: CallScenario) -> str:
    steps = "; ".join(
        f"{reported.step.command or reported.step.action} {reported.step.who}".strip()
        for reported in call_scenario.steps
    )
    return f"{call_scenario.beginning}: {steps}"
