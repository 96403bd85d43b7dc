"""The points of one request: taken before its handler runs, given back unless it succeeds.

So many requests at once never overspend, and one that fails costs nothing, unless it was stopped because it took too long.
"""

from __future__ import annotations

import asyncio

from trunkline.apis.service.request_context import AccountsPort, CallerLike, PointsLike
from trunkline.core import metrics
from trunkline.core.errors import LimitExceeded
from trunkline.core.log import get_logger

_log = get_logger("apis.service")


class Charge:
    """:param api: whose points they are.

    :ivar points: limits of the account and what is left, once they are known.
    :ivar reserved: points that are taken at present.
    """

    def __init__(self, accounts: AccountsPort, api: str) -> None:
        self._accounts = accounts
        self._api = api
        self._account_id = 0
        self.points: PointsLike | None = None
        self.reserved = 0

    def took(self, caller: CallerLike, points: PointsLike | None, method: str, weight: int) -> None:
        """The look-up of the token has taken the points already, if there are any.

        :param weight: of the method, unless the account has another weight for it.
        """
        self._account_id = caller.account_id
        if points is not None:
            self.points = points
            self.reserved = self._weight(caller, method, weight)

    async def take(self, caller: CallerLike, method: str, weight: int) -> None:
        """Take the points, unless that is done.

        :raises LimitExceeded: with params ``limit_type`` and ``limit_max_value``.
        """
        self._account_id = caller.account_id
        if self.points is not None:
            return
        weight = self._weight(caller, method, weight)
        try:
            self.points = await self._accounts.reserve_points(caller.account_id, self._api, weight)
        except LimitExceeded:
            metrics.POINTS_REFUSED.labels(self._api).inc()
            raise
        self.reserved = weight

    async def give_back(self, method: str, *, is_kept: bool = False) -> None:
        """After a failure; never raises.

        :param is_kept: the work was done up to its limit, so the points stay taken.
        """
        if is_kept or not self.reserved or self.points is None:
            return
        reserved, self.reserved = self.reserved, 0
        try:
            self.points = await self._accounts.refund_points(
                self._account_id, self._api, reserved, self.points.at
            )
        except Exception:
            _log.exception(
                "points_not_given_back",
                method=method,
                account_id=self._account_id,
                consequence="the points of a failed request stay taken",
                remedy="check that PostgreSQL responds; report this line if it does",
            )

    async def give_back_shielded(self, method: str) -> None:
        """As :meth:`give_back`, of a request that was cancelled."""
        await asyncio.shield(self.give_back(method))

    def seconds_to_wait(self, error: Exception) -> int:
        """After which a request that was refused for this error may succeed: 1, or until the points are back."""
        kind = error.params.get("limit_type") if isinstance(error, LimitExceeded) else None
        if self.points is not None and kind in ("minute", "day"):
            return self.points.minute_reset if kind == "minute" else self.points.day_reset
        return 60 if kind == "minute" else 3600 if kind == "day" else 1

    def _weight(self, caller: CallerLike, method: str, weight: int) -> int:
        own = self._accounts.weight(caller, method)
        return weight if own is None else own
