"""What is sent for a notification: its address and body, by the subscription's templates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.notifications import call_center
from trunkline.notifications.templates import CONTENT_TYPES, Format, default_body, parse_body, parse_url
from trunkline.notifications.variables import Value


@dataclass(frozen=True, slots=True)
class Rendered:
    """:ivar content_type: of the body; a header of the subscription with this name replaces it."""

    url: str
    body: str
    content_type: str


def render(subscription: Mapping[str, Any], mnemonic: str, values: Mapping[str, Value]) -> Rendered:
    """The address and the body for these values.

    :param subscription: ``url``, ``body_template`` (None: all values as JSON) and ``headers``.
    :raises InvalidInput: a template is not valid, though it was when it was saved.
    """
    template_text = subscription["body_template"]
    if template_text is None:
        is_center = mnemonic in call_center.NAMES
        format_, body = Format.JSON, default_body(call_center.body_of(values) if is_center else values)
    else:
        headers: Mapping[str, str] = subscription["headers"]
        own_type = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
        template = parse_body(template_text, own_type)
        format_, body = template.format, template.render(values)
    return Rendered(parse_url(subscription["url"]).render(values), body, CONTENT_TYPES[format_])
