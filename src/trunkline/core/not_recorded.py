"""Why a talk or a voice mail that was to be recorded is not, or not whole: ``recordings.failure`` of such a row."""

from __future__ import annotations

DISK = "not recorded: the disk is nearly full, or the spool folder cannot be written"
WITHOUT_SWITCH = "not recorded: no switch ran when the call came in, so Asterisk connected it by itself"
ACCOUNT_LIMIT = "not recorded: the recordings of the account take as many bytes as they may"
ACCOUNT_SHARE = "not recorded: the disk is nearly full, and the account records more than its share"
CUT = "incomplete: the disk was full during the call, so sound is missing"
CUT_BY_LIMIT = "incomplete: the recordings of the account took as many bytes as they may during the call"
CUT_BY_SHARE = (
    "incomplete: the disk was nearly full during the call, and the account recorded more than its share"
)

REFUSALS = (DISK, WITHOUT_SWITCH, ACCOUNT_LIMIT, ACCOUNT_SHARE)
"""Of a call or a part of it that is not recorded; another part of the call may be."""

CUTS = {ACCOUNT_LIMIT: CUT_BY_LIMIT, ACCOUNT_SHARE: CUT_BY_SHARE}
"""Why a recording under way is stopped, by what refuses new ones."""
