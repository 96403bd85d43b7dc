"""Rigs that run at the same time do not have the same address, so that the ports of SIPp are free."""

from __future__ import annotations

import socket

import pytest

from tests.drills.addresses import own_addresses
from tests.drills.rig import MEDIA_PORT

pytestmark = pytest.mark.drill


def test_two_rigs_have_addresses_of_their_own() -> None:
    with own_addresses() as first, own_addresses() as second:
        assert len({*first, *second}) == 4
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((first[0], MEDIA_PORT))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((second[0], MEDIA_PORT))
    with own_addresses() as again:
        assert again == first
