"""A page of the set-up that is no :class:`~trunkline.console.setup.entity.SetupEntity`, on the first page of the set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trunkline.apis.service.request_context import CallerLike


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """:ivar about: one sentence.
    :ivar is_visible: whether the caller may see the page.
    """

    path: str
    title: str
    about: str
    is_visible: Callable[[CallerLike], bool]
