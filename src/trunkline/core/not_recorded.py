"""Why a talk or a voice mail that was to be recorded is not, or not whole: ``recordings.failure`` of such a row."""

from __future__ import annotations

DISK = "not recorded: the disk is nearly full, or the spool folder cannot be written"
WITHOUT_SWITCH = "not recorded: no switch ran when the call came in, so Asterisk connected it by itself"
CUT = "incomplete: the disk was full during the call, so sound is missing"
