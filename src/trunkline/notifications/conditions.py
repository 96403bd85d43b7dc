"""Conditions of a subscription: of which calls it gets notifications. Pure.

Values of one condition are alternatives; different conditions must all be met. What counts is the call up to
the event. Notifications that are about no call (lines, agents, rows of the configuration) are not subject to conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.core.phone import normalise
from trunkline.directory.model.limits import MAX_CONDITION_VALUES, MAX_TALK_SECONDS
from trunkline.notifications.facts import CallFacts

_ID_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions on a call; an empty value and None are no condition.

    :ivar direction: ``in`` or ``out``.
    :ivar virtual_phone_numbers: the company's number of the call, E.164 digits.
    :ivar contact_phone_numbers: the other party's number, E.164 digits.
    :ivar employee_ids: one of them took part: was called, or placed the call.
    :ivar tag_ids: the call has one of these tags.
    :ivar queue_ids: the contact has been in one of these queues.
    :ivar talk_seconds_min: the talk took so long or longer; met by no notification before the end of the talk.
    :ivar talk_seconds_max: the talk took so long or shorter; met by no notification before the end of the talk.
    """

    direction: str | None = None
    virtual_phone_numbers: tuple[str, ...] = ()
    contact_phone_numbers: tuple[str, ...] = ()
    employee_ids: tuple[int, ...] = ()
    tag_ids: tuple[int, ...] = ()
    queue_ids: tuple[int, ...] = ()
    talk_seconds_min: int | None = None
    talk_seconds_max: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Those that are set; :func:`parse` reads them."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}


NO_CONDITIONS = Conditions()


def parse(given: Mapping[str, Any]) -> Conditions:
    """Conditions from JSON.

    :raises InvalidInput: an unknown name, or a value that cannot be met.
    """
    names = [one.name for one in fields(Conditions)]
    if unknown := sorted(set(given) - set(names)):
        raise InvalidInput(
            f"There is no condition {unknown[0]!r}; there are {', '.join(names)}.", field="conditions"
        )
    direction = given.get("direction")
    if direction not in (None, "in", "out"):
        raise InvalidInput("The direction is in or out.", field="conditions", value=str(direction))
    shortest, longest = (_seconds(given, name) for name in ("talk_seconds_min", "talk_seconds_max"))
    if shortest is not None and longest is not None and shortest > longest:
        raise InvalidInput(
            "No talk is longer than its greatest length; exchange the two.", field="conditions"
        )
    return Conditions(
        direction,
        virtual_phone_numbers=_numbers(given, "virtual_phone_numbers"),
        contact_phone_numbers=_numbers(given, "contact_phone_numbers"),
        employee_ids=_ids(given, "employee_ids"),
        tag_ids=_ids(given, "tag_ids"),
        queue_ids=_ids(given, "queue_ids"),
        talk_seconds_min=shortest,
        talk_seconds_max=longest,
    )


def are_met(conditions: Conditions, facts: CallFacts, talk_seconds: int | None) -> bool:
    """Whether a call is one of those.

    :param facts: of the call up to the event.
    :param talk_seconds: of the talk that ended, or of all talks of an ended call; None: no talk has ended.
    """
    session = facts.session
    return (
        conditions.direction in (None, session.get("direction"))
        and _is_one_of(session.get("virtual_phone_number"), conditions.virtual_phone_numbers)
        and _is_one_of(session.get("contact_phone_number"), conditions.contact_phone_numbers)
        and _has_one_of(facts.employee_ids(), conditions.employee_ids)
        and _has_one_of(facts.tags, conditions.tag_ids)
        and _has_one_of(facts.queue_ids, conditions.queue_ids)
        and _is_long_enough(conditions, talk_seconds)
    )


def _is_one_of(value: Any, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


def _has_one_of(there: Any, wanted: tuple[int, ...]) -> bool:
    return not wanted or any(one in there for one in wanted)


def _is_long_enough(conditions: Conditions, talk_seconds: int | None) -> bool:
    shortest, longest = conditions.talk_seconds_min, conditions.talk_seconds_max
    if shortest is None and longest is None:
        return True
    if talk_seconds is None:
        return False
    return (shortest or 0) <= talk_seconds and (longest is None or talk_seconds <= longest)


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    listed = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
    if len(listed) > MAX_CONDITION_VALUES:
        raise InvalidInput(f"{name} has more than {MAX_CONDITION_VALUES} values.", field="conditions")
    return listed


def _numbers(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = []
    for one in _list(given, name):
        number = normalise(str(one)) if isinstance(one, str | int) and not isinstance(one, bool) else None
        if number is None:
            raise InvalidInput(
                f"{name}: write phone numbers with their country code.", field="conditions", value=str(one)
            )
        found.append(number)
    return tuple(dict.fromkeys(found))


def _ids(given: Mapping[str, Any], name: str) -> tuple[int, ...]:
    found = _list(given, name)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int) or not 0 < one <= _ID_MAX:
            raise InvalidInput(f"{name} are positive integers.", field="conditions", value=str(one))
    return tuple(dict.fromkeys(found))


def _seconds(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TALK_SECONDS:
        raise InvalidInput(
            f"{name} is a number of seconds, up to {MAX_TALK_SECONDS}.", field="conditions", value=str(value)
        )
    return value
