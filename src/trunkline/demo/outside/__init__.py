"""The outside world for tests and the demo: carrier, customers and phones, played by a second Asterisk."""

from trunkline.demo.outside.behaviour import (
    Answer,
    Behaviour,
    Ignore,
    Redirect,
    Refuse,
    busy,
    decline,
    no_such_number,
    ring_then_give_up,
    unreachable,
)
from trunkline.demo.outside.config import Ports, Registrar, Transport
from trunkline.demo.outside.party import Call, Customer, Moment, Party, Phone, What
from trunkline.demo.outside.world import ALL_TONES, OutsideWorld, choose_ports

__all__ = [
    "ALL_TONES",
    "Answer",
    "Behaviour",
    "Call",
    "Customer",
    "Ignore",
    "Moment",
    "OutsideWorld",
    "Party",
    "Phone",
    "Ports",
    "Redirect",
    "Refuse",
    "Registrar",
    "Transport",
    "What",
    "busy",
    "choose_ports",
    "decline",
    "no_such_number",
    "ring_then_give_up",
    "unreachable",
]
