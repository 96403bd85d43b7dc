"""Bodies of the requests that pages send: JSON, checked field by field. Pure.

Unknown fields are refused nowhere: an old script may send more than a new server reads, and the reverse.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from trunkline.core.errors import InvalidInput
from trunkline.core.storable_text import storable

MAX = 16 * 1024
"""Bytes."""


def _text(value: Any) -> Any:
    return storable(value).strip() if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Pages send ids and times as texts, too; an empty one is none."""
    return None if value == "" else value


_Text = Annotated[str, BeforeValidator(_text)]
Url = Annotated[_Text, Field(max_length=2000)]
_Time = Annotated[int, Field(ge=0, le=10**14)]
_Id = Annotated[int, Field(ge=1, le=2**62)]
Short = Annotated[_Text, Field(max_length=200)]


class Body(BaseModel):
    """:ivar visit: token of the visit; None: it has not begun.
    :ivar url: address of the page.
    """

    model_config = ConfigDict(extra="ignore")

    visit: Annotated[str, Field(max_length=100)] | None = None
    url: Url = ""


class VisitBody(Body):
    referrer: Url = ""
    title: Short = ""
    screen: Short = ""
    language: Short = ""


class CallbackBody(Body):
    """:ivar delayed_call_time: milliseconds since 1970, UTC; None: now."""

    phone: Annotated[_Text, Field(min_length=1, max_length=64)]
    delayed_call_time: Annotated[_Time | None, BeforeValidator(_number)] = None
    group_id: Annotated[_Id | None, BeforeValidator(_number)] = None
    name: Short = ""


class PhoneBody(Body):
    name: Short = ""


class VisitorBody(Body):
    name: Short = ""
    email: Short = ""
    phone: Annotated[_Text, Field(max_length=64)] = ""


class PropertyBody(Body):
    """:ivar value: None: the property has none."""

    name: Annotated[_Text, Field(min_length=1, max_length=100)]
    value: Short | None = None


_Body = TypeVar("_Body", bound=Body)


def read(kind: type[_Body], content: bytes) -> _Body:
    """:raises InvalidInput: it is no such body; with the first field that is wrong."""
    try:
        return kind.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise InvalidInput("Send a JSON object.") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or None
        raise InvalidInput(f"{name or 'body'}: {first['msg']}", field=name) from error
