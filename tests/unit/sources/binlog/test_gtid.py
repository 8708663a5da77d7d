"""Sets of transaction ids are read, printed, compared and sent as the servers do it."""

from uuid import UUID

import pytest

from cdc_sms.sources.binlog.gtid import DomainPosition, GtidSet

ONE, TWO = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ONE}:1",
        f"{ONE}:1-5",
        f"{ONE}:1-5:7:9-11",
        f"{ONE}:1-5,{TWO}:3",
        f"{ONE}:1-5:tag:1-2:7",
        f"{ONE}:a_tag:1",
    ],
)
def test_a_set_is_printed_as_it_was_read(text: str) -> None:
    assert str(GtidSet.parse(text)) == text


def test_the_servers_line_feeds_are_no_part_of_it() -> None:
    assert str(GtidSet.parse(f"{TWO}:1,\n{ONE}:3-4")) == f"{ONE}:3-4,{TWO}:1"


def test_neighbours_become_one_interval() -> None:
    found = GtidSet.parse(f"{ONE}:1-3:5-6:9")

    found.add((UUID(ONE), ""), 4)
    found.add((UUID(ONE), ""), 10)

    assert str(found) == f"{ONE}:1-6:9-10"


def test_what_is_there_already_changes_nothing() -> None:
    found = GtidSet.parse(f"{ONE}:1-5")

    found.add((UUID(ONE), ""), 3)
    found.add_interval((UUID(ONE), ""), 2, 6)

    assert str(found) == f"{ONE}:1-5"


def test_ids_that_come_out_of_order_keep_their_place() -> None:
    found = GtidSet()

    for number in (5, 1, 3, 2):
        found.add((UUID(ONE), ""), number)

    assert str(found) == f"{ONE}:1-3:5"


@pytest.mark.parametrize(
    ("part", "is_in"),
    [
        ("", True),
        (f"{ONE}:2-4", True),
        (f"{ONE}:5-6", False),
        (f"{ONE}:1-5:8", True),
        (f"{ONE}:tag:1", False),
        (f"{TWO}:1", False),
    ],
)
def test_a_set_knows_what_is_in_it(part: str, is_in: bool) -> None:
    assert (GtidSet.parse(part) in GtidSet.parse(f"{ONE}:1-5:8")) is is_in


def test_a_set_is_sent_with_ends_that_are_not_in_it() -> None:
    encoded = GtidSet.parse(f"{ONE}:1-5:7").encode()

    assert encoded == (
        (1).to_bytes(8, "little")
        + UUID(ONE).bytes
        + (2).to_bytes(8, "little")
        + b"".join(number.to_bytes(8, "little") for number in (1, 6, 7, 8))
    )


def test_a_set_with_tags_is_sent_in_the_form_for_tags() -> None:
    encoded = GtidSet.parse(f"{ONE}:ab:3").encode()

    assert encoded[:8] == bytes([1, 1, 0, 0, 0, 0, 0, 1])
    assert encoded[8:24] == UUID(ONE).bytes
    assert encoded[24:27] == bytes([4]) + b"ab"


def test_the_last_of_each_domain_counts() -> None:
    found = DomainPosition.parse("0-1-5,2-1-9")

    found.add(0, 7, 6)

    assert str(found) == "0-7-6,2-1-9"


@pytest.mark.parametrize(
    ("part", "is_in"),
    [("", True), ("0-1-5", True), ("0-9-4", True), ("0-1-6", False), ("1-1-1", False)],
)
def test_a_position_by_domains_knows_what_is_before_it(part: str, is_in: bool) -> None:
    assert (DomainPosition.parse(part) in DomainPosition.parse("0-1-5")) is is_in


@pytest.mark.parametrize("text", ["x", "1:2", "0-1"])
def test_other_texts_are_no_sets(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        (DomainPosition if text[0] == "0" else GtidSet).parse(text)


def test_sets_are_put_together() -> None:
    one, other = GtidSet.parse(f"{ONE}:1-5"), GtidSet.parse(f"{ONE}:6:9")
    place, later = DomainPosition.parse("0-1-5,1-1-2"), DomainPosition.parse("0-2-7")

    one.update(other)
    place.update(later)

    assert str(one) == f"{ONE}:1-6:9"
    assert str(place) == "0-2-7,1-1-2"
