import random
from itertools import islice

import pytest

from cdc_sms.model.recipient import InvalidRecipient, Recipient
from cdc_sms.model.segments import Encoding, count_segments
from cdc_sms.playground.shop import Order, mistyped, orders

MAX_SEGMENTS = 6  # the default of providers.<name>.max_segments


@pytest.fixture
def five_hundred() -> list[Order]:
    return list(islice(orders(random.Random(1)), 500))


def test_every_order_reaches_another_number(five_hundred: list[Order]) -> None:
    reached = {order.reaches for order in five_hundred}

    assert len(reached) == 500
    assert None not in reached


def test_recipients_are_read_as_the_numbers_that_they_reach(five_hundred: list[Order]) -> None:
    read = [Recipient.parse(order.recipient, region="PL").reveal() for order in five_hundred]

    assert read == [f"+{order.reaches}" for order in five_hundred]


def test_texts_are_long_and_short_in_both_encodings_and_never_too_long(
    five_hundred: list[Order],
) -> None:
    segments = [count_segments(order.body) for order in five_hundred]

    assert {part.encoding for part in segments} == set(Encoding)
    assert min(part.count for part in segments) == 1
    assert 1 < max(part.count for part in segments) <= MAX_SEGMENTS


def test_some_orders_are_for_a_bit_later(five_hundred: list[Order]) -> None:
    later = [order.later_s for order in five_hundred if order.later_s is not None]

    assert 0 < len(later) < 50
    assert all(0 < seconds <= 3 for seconds in later)


def test_the_same_seed_writes_the_same_orders() -> None:
    first, second = (list(islice(orders(random.Random(7)), 50)) for _ in range(2))

    assert first == second


def test_a_mistyped_order_has_no_telephone_number(five_hundred: list[Order]) -> None:
    wrong = [mistyped(order, random.Random(seed)) for seed, order in enumerate(five_hundred[:50])]

    assert {order.reaches for order in wrong} == {None}
    for order in wrong:
        with pytest.raises(InvalidRecipient):
            Recipient.parse(order.recipient, region="PL")
