"""The settings of an agent in a directory file, within those of the employee."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from trunkline.directory.agents import rules
from trunkline.directory.forms.entity import Json
from trunkline.directory.forms.fields import Item

_Seconds = Annotated[int, Field(ge=0, le=rules.MAX_SECONDS)]


class AgentForm(Item):
    """``settings``: those of :data:`~trunkline.directory.agents.rules.SETTINGS`."""

    is_agent: bool = False
    in_reports: bool = True
    ext_user_id: Annotated[str, Field(min_length=1, max_length=rules.MAX_TEXT)] | None = None
    ring_timeout: _Seconds | None = None
    wrap_up_time: _Seconds | None = None
    no_answer_delay_time: _Seconds | None = None
    reject_delay_time: _Seconds | None = None
    busy_delay_time: _Seconds | None = None
    max_no_answer: Annotated[int, Field(ge=0, le=rules.MAX_NO_ANSWER)] | None = None
    settings: Annotated[Mapping[str, Any], AfterValidator(rules.checked_settings), Json()] = Field(
        default_factory=dict
    )
