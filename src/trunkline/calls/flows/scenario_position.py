"""Where a call stands in its scenario, and what the operations may know of it. Pure."""

from __future__ import annotations

from trunkline.calls.decision import Decision
from trunkline.directory.model import Operation, Scenario
from trunkline.routing.branches import Caller, ReturnPoint
from trunkline.routing.decisions import Chosen, with_destination


def caller_of(decision: Decision) -> Caller:
    """The facts of the call that operations may depend on."""
    session, account = decision.session, decision.context.account
    number = session.contact_phone_number
    return Caller(
        session.call_session_id,
        number,
        account.contacts_by_phone.get(number) if number else None,
        tuple(ReturnPoint(scenario_id, key) for scenario_id, key in session.returns),
        phones=tuple((session.instruction or {}).get("phones", ())),
    )


def position(decision: Decision) -> tuple[Scenario | None, Operation | None]:
    """The present scenario and operation; None: it does not exist any more.

    An operation that let the call choose whom to call is returned as a forward to the chosen one.
    """
    session = decision.session
    scenario = decision.context.account.scenarios.get(session.present_scenario_id or 0)
    operation = scenario.operation(session.operation_key) if scenario is not None else None
    if operation is not None and session.chosen is not None:
        operation = with_destination(operation, Chosen(**session.chosen))
    return scenario, operation
