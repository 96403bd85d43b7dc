"""Packets of an unauthenticated sender do not fill Asterisk's log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trunkline.runtime.child import Child
from trunkline.runtime.line_limit import LINES, LINES_OF_FILE, PERIOD_SECONDS, LineLimit
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.program import Program
from trunkline.runtime.service import Service

pytestmark = pytest.mark.attack

REFUSED = (
    "[2026-11-21 20:11:02.101] NOTICE[1234] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '<sip:1001@192.0.2.1>'"
    " failed for '{ip}:5062' (callid: {number}) - Not match Endpoint ACL\n"
)
REJECTED = (
    "[2026-11-21 20:11:02.101] NOTICE[1234] acl.c: Endpoint ACLRejecting '{ip}' due to a failure to pass ACL"
    " '(BASELINE)'\n"
)


def sent(limit: LineLimit, at: float, *, packets: int, ip: str = "198.51.100.7") -> list[bytes]:
    lines = "".join(
        one.format(ip=ip, number=number) for number in range(packets) for one in (REFUSED, REJECTED)
    )
    return limit.filter(lines.encode(), at).splitlines()


def test_lines_about_one_address_are_bounded_and_counted() -> None:
    limit = LineLimit()
    assert len(sent(limit, 0.0, packets=5000)) == 2 * LINES
    assert sent(limit, 10.0, packets=5000) == []
    later = sent(limit, PERIOD_SECONDS, packets=1)
    assert len(later) == 4
    assert later[0] == b"trunkline: %d more lines of NOTICE acl.c were left out in 60 s" % (10_000 - LINES)


def test_other_addresses_and_other_messages_are_written() -> None:
    limit = LineLimit()
    sent(limit, 0.0, packets=5000)
    assert len(sent(limit, 1.0, packets=1, ip="198.51.100.8")) == 2
    assert len(sent(limit, 1.0, packets=1, ip="2001:db8::7")) == 2
    other = b"[2026-11-21 20:11:02.101] ERROR[99][C-00000001] res_rtp_asterisk.c: 198.51.100.7 is wrong\nplain text\n"
    assert limit.filter(other, 2.0) == other


def test_forged_addresses_are_bounded_together() -> None:
    limit = LineLimit()
    count = sum(len(sent(limit, 0.0, packets=1, ip=f"198.51.{n // 250}.{n % 250}")) for n in range(5000))
    assert count == 2 * LINES_OF_FILE


def test_the_address_that_a_sender_writes_does_not_matter() -> None:
    limit = LineLimit()
    for number in range(2000):
        written = f"192.0.{number // 250}.{number % 250}"
        line = REFUSED.replace("192.0.2.1", written).format(ip="198.51.100.7", number=written)
        kept = limit.filter(line.encode(), 0.0)
        assert bool(kept) == (number < LINES)


async def test_the_log_of_a_limited_service_is_bounded(tmp_path: Path) -> None:
    """From the output of a process to its file."""
    line = REFUSED.format(ip="198.51.100.7", number=1).strip()
    code = f"for _ in range(3000): print({line!r})\nprint('last')"
    sizes = []
    for name, limited in (("all", False), ("limited", True)):
        service = Service(name, lambda: Program([sys.executable, "-c", code]), limits_lines=limited)
        log = RotatingLog(tmp_path / f"{name}.log")
        child = Child.start(service, log, tmp_path / f"{name}.pid")
        await child.wait()
        log.close()
        lines = (tmp_path / f"{name}.log").read_text().splitlines()
        assert lines[-1] == "last"
        sizes.append(len(lines))
    assert sizes == [3001, LINES + 1]
