"""Live calls whose channels ended without a signal are found, and no others."""

from __future__ import annotations

from tests.calls import company as c
from tests.calls.story import Story
from tests.calls.test_recovery import Node, ring
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
    node = Node()
    channel = node.arrive(c.TO_ANNA)
    [session] = node.switch.sessions.values()
    node.kill()  # only the log has what follows
    node.at(5).engine.answer(ring(node))
    node.flow()
    node.at(35).engine.hang_up(channel)
    node.flow()
    node.alive = True
    checks = LostSignals(node.switch.has_pending_effects)
    node.at(50)
    found = [
        checks.check(node.switch.sessions.values(), set(node.engine.channels), Instant(node.clock))
        for _ in range(2)
    ]
    assert found == [[], [session]]
    node.recover(Survey(Instant(node.clock), [node._seen(one) for one in node.engine.channels], node.missed))
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"
    assert node.end["talk_duration"] == 30
