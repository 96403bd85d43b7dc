"""Words for operations of scenarios: kinds, fields, branches and values. What has no word here is shown by its name."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.console.languages import translatable
from trunkline.directory.model import OperationKind

_ = translatable

KINDS: Mapping[str, str] = {
    OperationKind.GREETING: _("Greeting"),
    OperationKind.ANNOUNCEMENT: _("Announcement that can be skipped"),
    OperationKind.MENU: _("Menu"),
    OperationKind.DIAL_EXTENSION: _("Dial an extension"),
    OperationKind.FORWARD_EMPLOYEE: _("Call an employee"),
    OperationKind.FORWARD_GROUP: _("Call a group"),
    OperationKind.FORWARD_NUMBER: _("Call an outside number"),
    OperationKind.FORWARD_USUAL: _("Call the usual employee"),
    OperationKind.QUEUE: _("Wait in a queue"),
    OperationKind.VOICEMAIL: _("Take a message"),
    OperationKind.SCHEDULE: _("By schedule"),
    OperationKind.CONTACT_GROUP: _("By group of the contact"),
    OperationKind.REGION: _("By region of the caller"),
    OperationKind.CALLER_LIST: _("By list of callers"),
    OperationKind.SPLIT: _("Split by percentage"),
    OperationKind.TAG: _("Set tags"),
    OperationKind.NOTIFICATION: _("Send a notification"),
    OperationKind.RUN_SCENARIO: _("Run another scenario"),
    OperationKind.EXTERNAL_DECISION: _("Ask another system"),
    OperationKind.HANGUP: _("Hang up"),
}
"""In the order in which they are offered."""

FIELDS: Mapping[str, str] = {
    "name": _("Name"),
    "text": _("Text that is spoken"),
    "language": _("Language of the text"),
    "media": _("Media files, one after another"),
    "music": _("Music while it rings"),
    "employee": _("Employee"),
    "group": _("Group"),
    "schedule": _("Schedule"),
    "scenario": _("Scenario"),
    "queue": _("Queue"),
    "tags": _("Tags"),
    "number": _("Number"),
    "numbers": _("Numbers, one per line; +97150* is every number that begins so"),
    "places": _("Countries (AE) and beginnings of numbers (+9714), one per line"),
    "percent": _("Percent"),
    "strategy": _("Who is called"),
    "choose": _("Who is the usual employee"),
    "ring_seconds": _("Ring time in seconds"),
    "channels": _("Calls at the same time at most"),
    "employee_message": _("Message to the employee before the connection"),
    "show_number": _("Number that the employee sees"),
    "max_seconds": _("Longest message in seconds"),
    "silence_seconds": _("Silence that ends the message, in seconds"),
    "emails": _("Mail addresses, one per line"),
    "mail_employee": _("Send it to the address of the employee, too"),
    "message": _("Message"),
    "repeats": _("How often it is played"),
    "skip_key": _("Key that skips it"),
    "cause": _("What the network of the caller gets"),
    "keys": _("Keys"),
    "key": _("Key"),
    "item": _("Choice"),
    "digits": _("Digits that are no key, as the number of an order"),
    "min": _("Fewest digits"),
    "max": _("Most digits"),
    "extensions": _("Extensions can be dialled, too"),
    "invalid_message": _("What is said about a wrong key"),
    "timeout_seconds": _("Seconds until the first key"),
    "key_seconds": _("Seconds between two keys"),
    "exits": _("Keys that leave the queue"),
    "codes": _("Return codes"),
    "branches": _("Branches"),
    "url": _("Address of the other system"),
    "method": _("Method"),
    "parameters": _("What is sent"),
    "code_length": _("Digits that the caller enters before"),
    "reply_seconds": _("Seconds until the reply"),
    "answer": _("Answer the call before"),
    "next": _("Then"),
    "open": _("When it is open"),
    "closed": _("When it is closed"),
    "listed": _("When the caller is in the list"),
    "otherwise": _("Otherwise"),
    "invalid": _("After wrong keys"),
    "timeout": _("Without a key"),
    "no_agents": _("When no agent is there"),
    "kind": _("Kind"),
    "first": _("Beginning"),
}

VALUES: Mapping[str, str] = {
    "contact": _("of the contact"),
    "virtual": _("that was called"),
    "all": _("all at once"),
    "in_turn": _("one after another"),
    "longest_idle": _("who was free for longest"),
    "manager": _("the manager of the contact"),
    "last": _("who talked with the contact last"),
    "manager_then_last": _("the manager, else who talked last"),
    "normal": _("normal end"),
    "busy": _("busy"),
    "rejected": _("rejected"),
    "no_answer": _("no answer"),
    "not_found": _("no such number"),
    "unavailable": _("unavailable"),
    "congestion": _("congestion"),
}

QUEUE_ENDS: Mapping[str, str] = {
    "agent": _("an agent answers"),
    "timeout": _("the longest wait is over"),
    "no_agents": _("no agent is there"),
}

BRANCH_KEY = _("Key %(key)s")
BRANCH_CODE = _("Code %(key)s")
BRANCH_DIGITS = _("Digits")
BRANCH_PERCENT = _("%(percent)s percent")
BRANCH_OF = _("Branch %(number)s: %(name)s")
KEY_TWICE = _("one key is there twice")


def kind_name(kind: str) -> str:
    """What people call a kind of operations."""
    return KINDS.get(kind, _plain(kind))


def field_name(name: str) -> str:
    """What people call a field or a branch."""
    return FIELDS.get(name, _plain(name))


def value_name(value: str) -> str:
    """What people call a value."""
    return VALUES.get(value, value)


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()
