"""All operations of the API: the list of the modules that declare them."""

from __future__ import annotations

from trunkline.apis.call_center import (
    agents,
    live,
    notifications,
    permission_groups,
    phone_lists,
    queues,
    recordings,
    users,
)
from trunkline.apis.call_center.declaration import Operation

OPERATIONS: tuple[Operation, ...] = (
    *phone_lists.OPERATIONS,
    *users.OPERATIONS,
    *agents.OPERATIONS,
    *live.OPERATIONS,
    *queues.OPERATIONS,
    *recordings.OPERATIONS,
    *permission_groups.OPERATIONS,
    *notifications.OPERATIONS,
)
