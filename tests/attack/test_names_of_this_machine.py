"""A trunk whose server is this machine by name is refused, whatever the resolver of the machine has."""

from __future__ import annotations

import pytest

from trunkline.directory.trunks.addresses import AddressProblem, problem_of
from trunkline.directory.trunks.resolution import resolve

pytestmark = pytest.mark.attack

NAMES = (
    "localhost", "LOCALHOST", "a.localhost", "localhost.localdomain", "localhost4", "localhost6.localdomain6",
    "ip6-localhost", "ip6-loopback",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_names_of_this_machine_are_its_address(name: str) -> None:
    found = (await resolve([name], 1))[name]
    assert {problem_of(network, (), frozenset()) for network in found} == {AddressProblem.LOOPBACK}
