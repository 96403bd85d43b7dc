"""Live calls whose channels ended without a signal are found, and no others."""

from __future__ import annotations

from tests.calls import company as c
from tests.calls.story import Story
from tests.calls.test_recovery import House, ring
from trunkline.calls.session import UnresolvedLeg
from trunkline.calls.switch.lost_signals import YOUNG_SECONDS, LostSignals
from trunkline.core.clock import Instant
from trunkline.telephony.port import Channel, Survey


def _talk() -> Story:
    story = Story().arrive(c.TO_ANNA)
    story.at(6).answer(c.ANNA_LINE)
    return story


def _check(checks: LostSignals, story: Story, there: set[Channel]) -> int:
    return len(checks.check([story.session], there, Instant(story.clock)))


def test_a_channel_that_is_missing_twice_was_lost() -> None:
    story, checks = _talk().at(30), LostSignals(lambda _: False)
    both = set(story.engine.channels)
    assert [_check(checks, story, one) for one in (both, {story.channel}, both)] == [0, 0, 0]
    assert [_check(checks, story, one) for one in ({story.channel}, {story.channel})] == [0, 1]
    checks.forget()
    assert [_check(checks, story, one) for one in ({story.channel}, {story.channel})] == [0, 1]


def test_young_legs_unresolved_legs_and_pending_commands_are_not_lost() -> None:
    story = _talk().at(30)
    for leg in story.session.living:
        leg.started_at = Instant(story.clock - YOUNG_SECONDS + 1)
    checks = LostSignals(lambda _: False)
    assert [_check(checks, story, set()) for _ in range(2)] == [0, 0]
    story.at(60)
    busy = LostSignals(lambda _: True)
    assert [_check(busy, story, set()) for _ in range(2)] == [0, 0]
    first, *others = story.session.living
    story.session.unresolved = [UnresolvedLeg(leg.leg_id, Instant(story.clock), 16) for leg in others]
    unresolved = LostSignals(lambda _: False)
    assert [_check(unresolved, story, {first.channel}) for _ in range(2)] == [0, 0]
    assert [_check(unresolved, story, set()) for _ in range(2)] == [0, 1]


def test_after_a_loss_the_call_ends_as_the_log_has_it() -> None:
    """Everything after the arrival is lost but in the log; the switch lives on."""
    house = House()
    channel = house.arrive(c.TO_ANNA)
    [session] = house.switch.sessions.values()
    house.kill()  # only the log has what follows
    house.at(5).engine.answer(ring(house))
    house.flow()
    house.at(35).engine.hang_up(channel)
    house.flow()
    house.alive = True
    checks = LostSignals(house.switch.has_pending_effects)
    house.at(50)
    found = [
        checks.check(house.switch.sessions.values(), set(house.engine.channels), Instant(house.clock))
        for _ in range(2)
    ]
    assert found == [[], [session]]
    house.recover(
        Survey(Instant(house.clock), [house._seen(one) for one in house.engine.channels], house.missed)
    )
    house.flow()
    assert house.end["finish_reason"] == "caller_disconnects"
    assert house.end["talk_duration"] == 30
