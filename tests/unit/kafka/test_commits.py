"""When a commit is sent, when it is repeated, and when it is dropped."""

from cdc_sms.kafka.commits import LATE_S, PAUSE_S, PendingCommits
from cdc_sms.kafka.offsets import NextOffset


def test_a_wish_is_sent_once_until_it_is_answered() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1)})

    assert commits.to_send(10.0) == {0: NextOffset(5, 1)}
    assert commits.to_send(10.1) == {}
    assert commits.wanted() == {0: NextOffset(5, 1)}


def test_an_answer_ends_the_wish() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1)})
    commits.to_send(10.0)

    commits.succeeded({0: 5})

    assert commits.wanted() == {}
    assert commits.last(0) == 5


def test_a_newer_wish_waits_for_the_answer_to_the_older() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1)})
    commits.to_send(10.0)

    commits.want({0: NextOffset(7, 1)})

    assert commits.to_send(10.1) == {}
    commits.succeeded({0: 5})
    assert commits.to_send(10.2) == {0: NextOffset(7, 1)}


def test_a_failed_commit_is_repeated_after_a_pause() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1)})
    commits.to_send(10.0)

    commits.failed(11.0)

    assert commits.to_send(11.0 + PAUSE_S / 2) == {}
    assert commits.to_send(11.0 + PAUSE_S) == {0: NextOffset(5, 1)}


def test_a_commit_without_an_answer_is_repeated_in_the_end() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1)})
    commits.to_send(10.0)

    assert commits.to_send(9.9 + LATE_S) == {}
    assert commits.to_send(10.0 + LATE_S) == {0: NextOffset(5, 1)}


def test_partitions_that_go_take_their_wishes_along() -> None:
    commits = PendingCommits()
    commits.want({0: NextOffset(5, 1), 1: NextOffset(6, 1)})
    commits.learned(0, 3)

    commits.forget([0])

    assert commits.wanted() == {1: NextOffset(6, 1)}
    assert commits.last(0) is None
