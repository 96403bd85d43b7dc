"""What a page is, and its entry in the navigation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.page_request import PageRequest

PageHandler = Callable[[PageRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or the receiver of a form.

    :ivar needs: permission without which it is refused; None: the handler decides.
    :ivar workload: whose connections and limits it has.
    """

    path: str
    handler: PageHandler
    needs: Permission | None = None
    method: str = "GET"
    workload: Workload = Workload.REPORT


@dataclass(frozen=True, slots=True)
class Entry:
    """Of the navigation.

    :ivar is_visible: whether the caller may see the page.
    """

    path: str
    title: str
    is_visible: Callable[[CallerLike], bool]
