"""An employee changes an own setting by dialling a code: do-not-disturb, call forwarding, check-in at a device. Pure.

The code is checked at once; a phone whose code is wrong or not permitted gets a refusal. Writing the setting is a question,
which is repeated after a restart of the switch: writing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer
from trunkline.calls.flows import consultation, engine_connect
from trunkline.calls.flows.inputs import (
    COMMANDS,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.number_plan import (
    Setting,
    ToEmployee,
    ToGroup,
    ToOutside,
    ToSetting,
    destination,
    is_dialled,
)
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.flows.third_party import refusal
from trunkline.calls.session import Leg
from trunkline.calls.states import ChangingSetting, Finishing
from trunkline.calls.timers import Ask, Question
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason

CHANGE = "employee_setting"
"""Key and kind of the question: ``employee_id`` (null: of a line without one, which checks in), ``setting``, ``value``,
``sip_line_id``."""

ON, OFF = "on", "off"


def call(decision: Decision, leg: Leg, where: ToSetting) -> Reason | None:
    """A line dialled the code of a setting; why it is refused, if it is."""
    if leg.employee_id is None and where.setting is not Setting.CHECK_IN:
        return Reason.EMPLOYEES_NOT_EXISTS
    value = _value(decision, leg, where)
    if isinstance(value, Reason):
        return value
    decision.do(Answer(leg.channel))
    decision.emit(
        EventType.SETTING_DIALLED,
        leg_id=leg.leg_id,
        employee_id=leg.employee_id,
        setting=where.setting.value,
        value=value,
    )
    _ask(decision)
    return None


def resume(decision: Decision, leg: Leg) -> None:
    """After a restart of the switch: write again what may not be written; a confirmation that was played is not repeated."""
    if CHANGE in decision.session.questions:
        _ask(decision)
    else:
        decision.hang_up_served(leg)


def _value(decision: Decision, leg: Leg, where: ToSetting) -> str | Reason:
    if where.setting is Setting.DO_NOT_DISTURB:
        return ON if where.is_on else OFF
    if where.setting is Setting.CHECK_IN:
        return where.to if where.to.isdigit() else Reason.INCORRECT_INPUT
    if not where.is_on:
        return ""
    account = decision.context.account
    line = account.lines.get(leg.sip_line_id or 0)
    target = destination(account, where.to) if is_dialled(where.to) else None
    if line is None or not isinstance(target, ToEmployee | ToGroup | ToOutside):
        return Reason.INCORRECT_INPUT
    if isinstance(target, ToEmployee) and target.employee.employee_id == leg.employee_id:
        return Reason.INCORRECT_INPUT
    refused = refusal(account, line, target, decision.context)
    if refused is not None:
        return refused
    return target.number if isinstance(target, ToOutside) else where.to


def _ask(decision: Decision) -> None:
    state = decision.session.state
    if isinstance(state, ChangingSetting):
        leg = decision.session.initiator
        line = leg.sip_line_id if leg is not None else None
        data = {
            "employee_id": state.employee_id,
            "setting": state.setting,
            "value": state.value,
            "sip_line_id": line,
        }
        decision.do(Ask(CHANGE, Question(CHANGE, data, is_change=True)))


def changed(decision: Decision, flow_input: QuestionReply) -> None:
    """The setting is written, or could not be: the employee hears which."""
    session, leg = decision.session, decision.session.initiator
    state = session.state
    if flow_input.key != CHANGE or leg is None or not leg.is_alive or not isinstance(state, ChangingSetting):
        return
    is_written = isinstance(flow_input.value, Mapping) and flow_input.value.get("result") == "written"
    sound = _confirmation(state) if is_written else "technical_problem"
    path = decision.context.system_media_path(sound)
    if path is None:
        decision.hang_up_served(leg)
    else:
        consultation.say(decision, leg, (path,))


def _confirmation(state: ChangingSetting) -> str:
    if state.setting == Setting.CHECK_IN:
        return "checked_in"
    kind = "do_not_disturb" if state.setting == Setting.DO_NOT_DISTURB else "forwarding"
    return f"{kind}_{OFF if state.value in ('', OFF) else ON}"


def played(decision: Decision, flow_input: MessagePlayed) -> None:
    """The confirmation is over."""
    decision.hang_up_served(flow_input.leg)


_STATES = (ChangingSetting,)

TABLE = Table(
    rows={
        (ChangingSetting, QuestionReply): row(changed, ChangingSetting, Finishing),
        (ChangingSetting, MessagePlayed): row(played, Finishing),
        (ChangingSetting, LegGone): row(engine_connect.party_gone, ChangingSetting, Finishing),
    },
    refused=pairs(_STATES, *COMMANDS),
    ignored=pairs(
        _STATES,
        PartyTaken,
        RingElapsed,
        JoinFailed,
        ScenarioPlayed,
        MessageRecorded,
        NotConnected,
        TalkOver,
        InputElapsed,
    ),
    expected=pairs(_STATES, LegAnswered, LegUnreached, Key),
)
"""Of an employee who changes a setting."""
