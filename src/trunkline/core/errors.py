"""The one hierarchy of errors that Trunkline raises on purpose.

::

    TrunklineError                 message (what happened, what to do), mnemonic, field, value
     +- ConfigurationError         settings, files, the machine: the administrator can correct it
     |   +- AlreadyRunning         another supervisor runs on the data folder
     |   +- SetupError             a required component is missing
     |   +- DirectoryFileError     a directory file (YAML) that cannot be applied
     +- Refused                    the caller asked for something that is not allowed or does not exist
     |   +- AuthenticationFailed   no valid key, session or password
     |   +- PermissionDenied       address, component, permission or security rule
     |   +- LimitExceeded          too much (points, channels, sizes)
     |   |   +- TooExpensive       the work was stopped at its limit: its points stay charged
     |   |   +- QuotaReached       the account keeps as much as it may: something must be deleted first
     |   +- NotFound               there is no such thing in this account
     |   +- InvalidInput           a value that cannot be used
     |   |   +- Duplicate          another item has this value
     |   |   +- InUse              other items refer to it
     |   +- InvalidState           the command is not possible in the present state of the call
     +- EngineError                Asterisk did not carry out a command
     |   +- ChannelGone            the channel has ended, or is no longer where the command needs it: normal in races
     |   +- EffectRefused          Asterisk refused it; nothing was done
     |   |   +- NoChannelFree      the account has as many channels as it may have
     |   +- EffectTimedOut         no response in time; it may still be done
     |   +- EngineUnavailable      also Unavailable: no connection, or it broke during the command
     +- Unavailable                a required part does not respond now: the same request may succeed later
     |   +- EngineUnavailable      Asterisk
     |   +- DatabaseUnavailable    PostgreSQL
     |   +- SwitchUnavailable      the switch that owns the call; the command was not carried out
     |   |   +- SwitchInterrupted  it had the command, and may have carried it out
     |   |   +- NotCarriedOut      it responds, and the message has why it did not carry out the command
     |   +- StreamOpen             the end of the call is not written yet
     +- OwnershipLost              another process owns what this one would write: trying again never helps
         +- LeaseLost              another switch took over the node
         +- StreamConflict         another process wrote to a stream of events

Interfaces (``apis``, ``cli``) translate a :class:`TrunklineError` into their own form by its
``mnemonic``; features raise the most specific class and never an error of an API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

SEND_AGAIN = "A part of the service does not answer now; send the request again in a moment."
"""The remedy of most kinds of :class:`Unavailable`."""


class TrunklineError(Exception):
    """Base of all errors raised on purpose.

    :param message: what happened and what the reader can do about it.
    :param mnemonic: the wire name (``call_session_not_found``); defaults to the class's own.
    :param field: dotted name of the parameter at fault.
    :param value: the value as the caller sent it.
    :param params: substitutions for a templated message (limits, lengths).
    """

    mnemonic: str = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        mnemonic: str | None = None,
        field: str | None = None,
        value: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if mnemonic is not None:
            self.mnemonic = mnemonic
        self.field = field
        self.value = value
        self.params: dict[str, Any] = dict(params or {})


class ConfigurationError(TrunklineError):
    mnemonic = "incorrect_config"


class AlreadyRunning(ConfigurationError):  # noqa: N818 - a state of the installation, not a fault in its settings
    """Another supervisor runs on the data folder."""


class SetupError(ConfigurationError):
    mnemonic = "setup_failed"


class DirectoryFileError(ConfigurationError):
    mnemonic = "incorrect_directory_file"


class Refused(TrunklineError):  # noqa: N818 - a family, never raised under this name alone
    mnemonic = "forbidden"


class AuthenticationFailed(Refused):
    mnemonic = "auth_error"


class PermissionDenied(Refused):
    mnemonic = "forbidden"


class LimitExceeded(Refused):
    mnemonic = "limit_exceeded"


class TooExpensive(LimitExceeded):
    """The request cost more than one request may. The work was done up to the limit, so its points stay charged."""

    mnemonic = "error"


class QuotaReached(LimitExceeded):
    """The account keeps as much of something as it may: the same request succeeds after something was deleted."""

    mnemonic = "data_limit_exceeded"


class NotFound(Refused):
    mnemonic = "entity_not_found"


class InvalidInput(Refused):
    mnemonic = "invalid_parameter_value"


class Duplicate(InvalidInput):
    mnemonic = "duplicate_entity"


class InUse(InvalidInput):
    mnemonic = "dependency_error"


class InvalidState(Refused):
    mnemonic = "invalid_state"


class Unavailable(TrunklineError):  # noqa: N818 - see Refused
    mnemonic = "internal_error"

    is_for_client: ClassVar[bool] = False
    """Whether clients of the APIs get the message. Other messages may name addresses of the installation."""

    @property
    def remedy(self) -> str:
        """What a client of an API can do."""
        return self.message if self.is_for_client else SEND_AGAIN


class EngineError(TrunklineError):
    """Asterisk did not carry out a command."""


class ChannelGone(EngineError):  # noqa: N818 - see Refused
    """The channel has ended, or is no longer where the command needs it. Normal in races."""


class EffectRefused(EngineError):  # noqa: N818 - see Refused
    """Asterisk refused the command; nothing was done."""


class NoChannelFree(EffectRefused):
    """The account has its share of the engine's channels in use; nothing was done."""


class EffectTimedOut(EngineError):  # noqa: N818 - see Refused
    """Asterisk did not respond in time; the command may still be carried out."""


class EngineUnavailable(EngineError, Unavailable):  # noqa: N818 - see Refused
    """There is no connection to Asterisk, or it broke while a command was under way."""


class DatabaseUnavailable(Unavailable):
    pass


class DatabaseFull(DatabaseUnavailable):
    """PostgreSQL responds and cannot write: its disk is full, or it has no memory. Nothing was written."""


class SwitchUnavailable(Unavailable):
    pass


class SwitchInterrupted(SwitchUnavailable):
    """Whether the command was carried out is not known: read the state of the call before sending it again."""

    is_for_client = True


class NotCarriedOut(SwitchUnavailable):
    """The switch responds, and did not carry out the command: the disk is full, or Asterisk refused it. Sending it again at
    once may never help, so the message has the remedy."""

    is_for_client = True


class StreamOpen(Unavailable):
    """The call is not over, so only its switch appends to its stream."""

    is_for_client = True


class OwnershipLost(TrunklineError):  # noqa: N818 - see Refused
    """Another process owns what this one would write. This process cannot succeed by trying again."""


class LeaseLost(OwnershipLost):
    """This switch does not hold the node's lease any more: it may neither write nor command the engine."""


class StreamConflict(OwnershipLost):
    """A stream of events does not have the version that its writer expected."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a log entry; the name of its class when it has no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
