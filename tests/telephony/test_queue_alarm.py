"""The alarm of a growing queue: at each doubling, and again after the queue was worked off."""

from __future__ import annotations

import structlog

from trunkline.telephony.queue_alarm import FIRST, QueueAlarm


def test_an_alarm_at_each_doubling_and_again_after_the_queue_was_short() -> None:
    alarm = QueueAlarm("ari_events_pile_up")
    with structlog.testing.capture_logs() as logged:
        for waiting in (
            0,
            FIRST - 1,
            FIRST,
            FIRST + 1,
            2 * FIRST - 1,
            2 * FIRST,
            FIRST,
            FIRST // 2 - 1,
            FIRST,
        ):
            alarm.check(waiting)
    assert [line["waiting"] for line in logged] == [FIRST, 2 * FIRST, FIRST]
    assert {line["event"] for line in logged} == {"ari_events_pile_up"}
    assert all(line["remedy"] for line in logged)
