"""Fields of users that other resources have, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.accounts.model import Action
from trunkline.accounts.permissions import RESOURCES
from trunkline.apis.call_center.declaration import integer, seconds
from trunkline.directory.agents.rules import MAX_NO_ANSWER

API_SWITCH = "call_center_api"
"""Name of the permission to use this API, among the permissions of a user."""

SESSION_MIN, SESSION_MAX = 60, 2_592_000

DEFAULT_FIELDS = (
    integer(
        "session_ttl", "Seconds of a session; null: the default.", minimum=SESSION_MIN, maximum=SESSION_MAX
    ),
    seconds("wrap_up_time", "Seconds after a call; null: the default."),
    seconds("no_answer_delay_time", "Seconds after a call that was not answered; null: the default."),
    seconds("reject_delay_time", "Seconds after a call that was declined; null: the default."),
    seconds("busy_delay_time", "Seconds after a call that met a busy device; null: the default."),
    integer(
        "max_no_answer",
        "Calls not answered until the user is set on break; null: the default.",
        maximum=MAX_NO_ANSWER,
    ),
)
"""Settings of a user whose default is that of the account."""


def grants(value: Mapping[str, Any], *, with_switch: bool) -> Mapping[str, Any]:
    """Checks permissions: actions by resource.

    :param with_switch: whether :data:`API_SWITCH` may be among them.
    :raises ValueError: with what to send.
    """
    for name, actions in value.items():
        if with_switch and name == API_SWITCH:
            if not isinstance(actions, bool):
                raise ValueError(f"send true or false for {API_SWITCH}")
        elif (
            name not in RESOURCES
            or not isinstance(actions, list)
            or any(one not in list(Action) for one in actions)
        ):
            switch = f"{API_SWITCH}, and " if with_switch else ""
            raise ValueError(
                f'send {switch}for each resource its actions, for example {{"queues": ["select", "update"]}};'
                " resources are " + ", ".join(RESOURCES)
            )
    return value


def shown_permissions(texts: Iterable[str]) -> dict[str, Any]:
    """Actions by resource, of ``resource:action`` each."""
    found: dict[str, Any] = {}
    for one in texts:
        resource, _, action = one.partition(":")
        found.setdefault(resource, []).append(action)
    return found
