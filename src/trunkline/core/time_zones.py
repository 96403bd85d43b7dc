"""Names of time zones that settings may have. No zone is read here but the one that is asked for."""

from __future__ import annotations

from zoneinfo import ZoneInfo

_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files of the system's time zones that are no zone of the IANA database: they differ between machines."""

_NO_FOLDERS = ("posix/", "right/")


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    :raises ValueError: it is none.
    """
    if name in _NO_ZONES or name.startswith(_NO_FOLDERS):
        raise ValueError(f"{name!r} is no time zone of the IANA database")
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone of the IANA database") from error
