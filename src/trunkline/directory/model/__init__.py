"""The directory as call rules see it: frozen values, no I/O, no clock.

A :class:`Directory` holds every :class:`Account`; both are replaced, never changed, when the database
changes (:mod:`trunkline.directory.live.snapshot`). Ids are those of the tables; phone numbers are E.164 digits
without plus; durations named ``_time`` or ``_seconds`` are seconds. No repr shows a secret.
"""

from trunkline.directory.model.account import Account, Directory, OutgoingLimits
from trunkline.directory.model.content import (
    SYSTEM_ACCOUNT_ID,
    Contact,
    ContactGroup,
    MediaFile,
    MediaKind,
    Tag,
)
from trunkline.directory.model.lines import (
    BillingState,
    LineStatus,
    LineType,
    NumberFormat,
    SipLine,
    Srtp,
    Transport,
    Trunk,
    TrunkMode,
)
from trunkline.directory.model.numbers import NumberCampaign, NumberStatus, Rule, VirtualNumber
from trunkline.directory.model.people import (
    CallRecording,
    Employee,
    EmployeeStatus,
    ForwardWhen,
    Group,
    Phone,
    Strategy,
)
from trunkline.directory.model.queues import AgentProfile, CallQueue, QueueTier
from trunkline.directory.model.scenarios import (
    DEFAULT_REQUEST_PARAMETERS,
    HangupCause,
    Operation,
    OperationKind,
    RequestParameter,
    Scenario,
    Schedule,
    ShownNumber,
    TalkOption,
    TalkOptionKind,
    UsualEmployee,
)
from trunkline.directory.model.sites import Site

__all__ = [
    "DEFAULT_REQUEST_PARAMETERS",
    "SYSTEM_ACCOUNT_ID",
    "Account",
    "AgentProfile",
    "BillingState",
    "CallQueue",
    "CallRecording",
    "Contact",
    "ContactGroup",
    "Directory",
    "Employee",
    "EmployeeStatus",
    "ForwardWhen",
    "Group",
    "HangupCause",
    "LineStatus",
    "LineType",
    "MediaFile",
    "MediaKind",
    "NumberCampaign",
    "NumberFormat",
    "NumberStatus",
    "Operation",
    "OperationKind",
    "OutgoingLimits",
    "Phone",
    "QueueTier",
    "RequestParameter",
    "Rule",
    "Scenario",
    "Schedule",
    "ShownNumber",
    "SipLine",
    "Site",
    "Srtp",
    "Strategy",
    "Tag",
    "TalkOption",
    "TalkOptionKind",
    "Transport",
    "Trunk",
    "TrunkMode",
    "UsualEmployee",
    "VirtualNumber",
]
