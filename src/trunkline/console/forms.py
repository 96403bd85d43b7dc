"""Forms that only pages of the console can send.

A form has a token that is derived from a secret of the browser: from the token of its session, or before the sign-in from a
random cookie. Pages of other sites can neither read nor derive it. In addition, a request that the browser reports to come
from another site (``Sec-Fetch-Site``, ``Origin``) is refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from trunkline.apis.body import BodyError, read_body
from trunkline.console.languages import translatable
from trunkline.core.errors import InvalidInput, PermissionDenied

_ = translatable

FIELD = "form_token"
"""The name of the hidden field."""

BODY_MAX = 64 * 1024
"""Bytes of a form."""

FIELDS_MAX = 2500
"""A list of employees or groups has a field for each."""

_SAME = frozenset({"same-origin", "none"})


def form_token(secret: str) -> str:
    """The token of forms of the browser that has this secret."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"trunkline console form", "sha256").hexdigest()


async def read_form(
    request: web.Request, secret: str, seconds: float, *, or_secret: str = "", limit: int = BODY_MAX
) -> Mapping[str, str]:
    """The fields of a form; of several of one name the last. Parameters and errors as of :func:`read_form_lists`."""
    lists = await read_form_lists(request, secret, seconds, or_secret=or_secret, limit=limit)
    return {name: values[-1] for name, values in lists.items()}


async def read_form_lists(
    request: web.Request, secret: str, seconds: float, *, or_secret: str = "", limit: int = BODY_MAX
) -> Mapping[str, list[str]]:
    """The fields of a form, each with all its values.

    :param secret: of the browser; empty: it has none.
    :param or_secret: another one that it may have instead.
    :param seconds: within which the body must arrive.
    :param limit: bytes of the body.
    :raises PermissionDenied: it was not sent by a page of the console for this browser.
    :raises InvalidInput: it cannot be read.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if (site is not None and site not in _SAME) or (
        origin is not None and urlsplit(origin).netloc != request.host
    ):
        raise _foreign()
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidInput(_("a form is sent as application/x-www-form-urlencoded"))
    try:
        body = await read_body(request, limit=limit, seconds=seconds)
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, strict_parsing=False
        )
    except (BodyError, ValueError) as error:
        raise InvalidInput(_("the form is too large or cannot be read")) from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    sent = fields.pop(FIELD, [""])[-1]
    if not any(
        one and hmac.compare_digest(sent.encode(), form_token(one).encode()) for one in (secret, or_secret)
    ):
        raise _foreign()
    return fields


def _foreign() -> PermissionDenied:
    return PermissionDenied(_("the form was not sent by this page, or it is too old: open the page again"))
