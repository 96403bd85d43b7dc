"""Websites whose visitors may ask for calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Site:
    """A website from which calls are possible, as call rules and the engine see it.

    :ivar phone_scenario_id: of calls from browsers; None: there are none.
    :ivar callback_scenario_id: whom it rings calls the visitor back; None: nobody does.
    :ivar number_id: caller id of call-backs; None: the account's default number.
    :ivar schedule_id: when calls are possible; None: always.
    :ivar abroad: whether numbers of other countries may be called back.
    :ivar at_once: live calls at most.
    :ivar ha1_md5, ha1_sha256: with which browsers authenticate; "" = there was no call from a browser yet.
    """

    site_id: int
    domain_name: str
    phone_scenario_id: int | None = None
    callback_scenario_id: int | None = None
    number_id: int | None = None
    schedule_id: int | None = None
    abroad: bool = False
    at_once: int = 5
    ha1_md5: str = field(default="", repr=False)
    ha1_sha256: str = field(default="", repr=False)


Sites = Mapping[int, Site]
