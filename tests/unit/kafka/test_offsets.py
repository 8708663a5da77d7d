"""What may be committed, and what may not, whatever the order in which records finish."""

import random

import pytest

from cdc_sms.kafka.offsets import NextOffset, Offsets, Place


def _received(offsets: Offsets, partition: int, numbers: list[int]) -> list[Place]:
    return [offsets.received(partition, number, 7) for number in numbers]


def test_nothing_is_committable_before_a_record_is_finished() -> None:
    offsets = Offsets()
    offsets.assigned([0])

    _received(offsets, 0, [5, 6])

    assert offsets.committable() == {}
    assert offsets.open_records(0) == 2
    assert offsets.oldest_open(0) == 5


def test_a_record_behind_an_open_one_does_not_move_the_commit() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    first, second, third = _received(offsets, 0, [5, 6, 7])

    offsets.finished(second)
    offsets.finished(third)

    assert offsets.committable() == {}
    assert offsets.oldest_open(0) == first.offset


def test_the_first_record_lets_all_finished_ones_behind_it_go() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    first, second, _ = _received(offsets, 0, [5, 6, 7])
    offsets.finished(second)

    offsets.finished(first)

    assert offsets.committable() == {0: NextOffset(7, 7)}
    assert offsets.oldest_open(0) == 7


def test_the_commit_carries_the_epoch_of_the_last_finished_record() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    places = [offsets.received(0, 1, 3), offsets.received(0, 2, 4), offsets.received(0, 3, None)]

    offsets.finished(places[0])
    offsets.finished(places[1])

    assert offsets.committable() == {0: NextOffset(3, 4)}


def test_offsets_that_were_never_delivered_are_no_hole() -> None:
    offsets = Offsets()
    offsets.assigned([0])

    for place in _received(offsets, 0, [5, 9, 40]):
        offsets.finished(place)

    assert offsets.committable() == {0: NextOffset(41, 7)}


def test_what_was_committed_is_not_committable_again() -> None:
    offsets = Offsets()
    offsets.assigned([0, 1])
    first, second = _received(offsets, 0, [5, 6])
    offsets.finished(first)

    offsets.committed(offsets.committable())

    assert offsets.committable() == {}
    offsets.finished(second)
    assert offsets.committable() == {0: NextOffset(7, 7)}


def test_a_finish_of_an_earlier_assignment_does_not_mark_the_redelivered_record() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    (earlier,) = _received(offsets, 0, [5])
    offsets.revoked([0])
    offsets.assigned([0])
    (later,) = _received(offsets, 0, [5])

    offsets.finished(earlier)

    assert offsets.committable() == {}
    assert not offsets.is_current(earlier)
    assert offsets.is_current(later)


def test_a_finish_after_the_partition_went_is_ignored() -> None:
    offsets = Offsets()
    offsets.assigned([0, 1])
    (place,) = _received(offsets, 0, [5])
    offsets.revoked([0])

    offsets.finished(place)

    assert offsets.committable() == {}
    assert offsets.open_records(0) == 0
    assert offsets.oldest_open(0) is None


def test_a_record_finished_twice_counts_once() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    first, _ = _received(offsets, 0, [5, 6])

    offsets.finished(first)
    offsets.finished(first)

    assert offsets.committable() == {0: NextOffset(6, 7)}
    assert offsets.open_records(0) == 1


def test_a_record_of_a_partition_that_is_not_ours_is_refused() -> None:
    offsets = Offsets()

    with pytest.raises(ValueError, match="not assigned"):
        offsets.received(3, 1, None)


def test_a_record_delivered_out_of_order_is_refused() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    offsets.received(0, 6, None)

    with pytest.raises(ValueError, match="5 after 6"):
        offsets.received(0, 5, None)


@pytest.mark.parametrize("seed", range(30))
def test_the_commit_never_passes_an_open_record_in_any_order(seed: int) -> None:
    order = random.Random(seed)
    offsets = Offsets()
    offsets.assigned(range(3))
    unfinished: dict[int, set[int]] = {partition: set() for partition in range(3)}
    places: list[Place] = []
    following = dict.fromkeys(range(3), 0)

    for _ in range(400):
        partition = order.randrange(3)
        if order.random() < 0.5:
            offset = following[partition] + order.choice([0, 0, 1, 5])
            following[partition] = offset + 1
            unfinished[partition].add(offset)
            places.append(offsets.received(partition, offset, None))
        elif places:
            place = places.pop(order.randrange(len(places)))
            unfinished[place.partition].discard(place.offset)
            offsets.finished(place)
        elif order.random() < 0.2:
            offsets.committed(offsets.committable())

        for owned, (next_offset, _) in offsets.committable().items():
            assert next_offset <= min(unfinished[owned], default=following[owned])
        for owned, left in unfinished.items():
            assert offsets.open_records(owned) == len(left)
            assert offsets.oldest_open(owned) == min(left, default=None)


def test_everything_is_committable_once_everything_is_finished() -> None:
    offsets = Offsets()
    offsets.assigned([0])
    places = _received(offsets, 0, list(range(1000)))
    random.Random(4).shuffle(places)

    for place in places:
        offsets.finished(place)

    assert offsets.committable() == {0: NextOffset(1000, 7)}
    assert offsets.open_records(0) == 0


def test_a_beginning_is_committed_until_a_record_is_finished() -> None:
    offsets = Offsets()
    offsets.assigned([0, 1])
    (place,) = _received(offsets, 1, [5])
    offsets.finished(place)

    for partition in (0, 1, 2):
        offsets.begins(partition, 3)

    assert offsets.committable() == {0: NextOffset(3, None), 1: NextOffset(6, 7)}
