"""The texts of the console as they are in its sources, for the catalogues of its languages."""

from __future__ import annotations

from pathlib import Path

from babel.messages.extract import extract_from_dir

import trunkline.console
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS
from trunkline.routing.dry_run import SENTENCES

FOLDER = Path(trunkline.console.__file__).parent

OF_OTHERS = (
    "login, password or code is wrong",
    "this is not the present code: enter the one that the app shows now",
    "codes are in use already: turn them off first",
    "A part of the service does not answer now; send the request again in a moment.",
)
"""Messages of other packages that pages show."""


def texts() -> dict[str, str | tuple[str, str]]:
    """The texts by their singular; of those that depend on a number, both forms."""
    found = extract_from_dir(
        FOLDER,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        options_map={"templates/**.html": {"newstyle_gettext": "true", "trimmed": "true"}},
        keywords={"_": None, "ngettext": (1, 2)},
    )
    own: dict[str, str | tuple[str, str]] = {}
    for _file, _line, message, _comments, _context in found:
        if isinstance(message, tuple):
            own[message[0]] = (message[0], message[1])
        else:
            own[message] = message
    return own | {one: one for one in (*OF_OTHERS, *SENTENCES.values(), *REASON_DESCRIPTIONS.values())}
