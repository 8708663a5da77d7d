from cdc_sms.deliver.pace import BURST_S, Pace


def test_without_a_rate_every_sender_may_be_busy() -> None:
    pace = Pace(messages_per_s=None, senders=16)

    assert pace.allowance(4, now_s=0.0) == 12
    assert pace.next_in_s() is None


def test_a_member_gets_the_rate_of_its_share_of_the_partitions() -> None:
    pace = Pace(messages_per_s=100.0, senders=1000)
    pace.share(3, 12)

    sent = _sent_within(pace, seconds=10)

    assert 250 - 1 <= sent <= 250 + 25 * BURST_S + 1


def test_all_members_together_keep_the_group_s_rate() -> None:
    members = [Pace(messages_per_s=40.0, senders=1000) for _ in range(3)]
    for member, owned in zip(members, (5, 4, 3), strict=True):
        member.share(owned, 12)

    sent = sum(_sent_within(member, seconds=10) for member in members)

    assert 396 <= sent <= 413


def test_a_member_without_partitions_sends_nothing() -> None:
    pace = Pace(messages_per_s=100.0, senders=16)
    pace.share(0, 12)

    assert _sent_within(pace, seconds=10) == 0


def test_a_pause_is_not_made_up_for_beyond_a_moment() -> None:
    pace = Pace(messages_per_s=100.0, senders=1000)
    pace.share(1, 1)
    pace.allowance(0, now_s=0.0)

    assert pace.allowance(0, now_s=3600.0) == int(100.0 * BURST_S)


def test_a_slow_rate_says_when_the_next_one_may_go() -> None:
    pace = Pace(messages_per_s=0.5, senders=16)
    pace.share(1, 1)
    pace.allowance(0, now_s=0.0)
    assert pace.allowance(0, now_s=2.0) == 1
    pace.sent(1)

    assert pace.next_in_s() == 2.0


def test_after_an_outage_the_senders_come_back_twice_as_many_each_second() -> None:
    pace = Pace(messages_per_s=None, senders=16)
    pace.provider_is_back(100.0)

    allowed = [pace.allowance(0, now_s=100.0 + second) for second in range(6)]

    assert allowed == [1, 2, 4, 8, 16, 16]


def _sent_within(pace: Pace, *, seconds: int) -> int:
    sent = 0
    for tick in range(seconds * 100 + 1):
        allowed = pace.allowance(0, now_s=tick / 100)
        pace.sent(allowed)
        sent += allowed
    return sent
