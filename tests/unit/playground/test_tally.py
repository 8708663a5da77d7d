from dataclasses import replace

import pytest

from cdc_sms.playground.shop import Order, Sale
from cdc_sms.playground.tally import (
    Acceptance,
    Entry,
    Evidence,
    Percentiles,
    Troubles,
    count,
    is_at_rest,
)

TROUBLES = Troubles(outages_s=[21.04, 3.0], kills=1, in_flight_at_kills=4, breaker_opened=2)


def sale(key: int, *, wrong: bool = False, due_in_s: float = 0.0) -> Sale:
    reaches = None if wrong else f"48600{key:06}"
    order = Order(recipient="as written", reaches=reaches, body="…", sender=None, later_s=None)
    return Sale(key=key, order=order, committed_at_s=100.0, due_at_s=100.0 + due_in_s)


def entry(key: int, state: str = "sent", *, doubts: int = 0, given_up: str | None = None) -> Entry:
    return Entry(
        message_id=f"sms/{key}@",
        key=key,
        state=state,
        done=True,
        doubts=doubts,
        dead_letter_class=given_up,
    )


def accepted(key: int, at_s: float = 101.0) -> Acceptance:
    return Acceptance(number=f"48600{key:06}", at_s=at_s)


def evidence(*sales: Sale, entries: list[Entry], acceptances: list[Acceptance]) -> Evidence:
    return Evidence(
        sales=sales,
        entries=entries,
        acceptances=acceptances,
        dead_letters=frozenset(
            entry.message_id for entry in entries if entry.dead_letter_class is not None
        ),
        seen_at_s={sale.key: 100.25 for sale in sales},
        troubles=TROUBLES,
    )


def test_a_good_demo_adds_up() -> None:
    seen = evidence(
        sale(1),
        sale(2, wrong=True),
        sale(3),
        entries=[
            entry(1),
            entry(2, "failed", given_up="permanent"),
            entry(3, "failed", doubts=1, given_up="in_doubt"),
        ],
        acceptances=[accepted(1), accepted(3)],
    )

    figures = count(seen)

    assert (figures.inserted, figures.sent, figures.failed, figures.held) == (3, 1, 1, 1)
    assert (figures.dead_lettered, figures.wrong_numbers, figures.in_doubt) == (2, 1, 1)
    assert (figures.lost, figures.doubled, figures.doubled_beyond_doubt) == (0, 0, 0)
    assert (figures.outages, figures.outage_s, figures.breaker_opened) == (2, 21.0, 2)
    assert (figures.kills, figures.in_flight_at_kills) == (1, 4)
    assert figures.keep_the_promise


@pytest.mark.parametrize(
    "entries",
    [[], [entry(1, "sending")], [entry(1, "retrying")]],
    ids=["unknown to the ledger", "stuck in a claim", "stuck between attempts"],
)
def test_a_row_without_acceptance_and_final_state_is_lost(entries: list[Entry]) -> None:
    figures = count(evidence(sale(1), entries=entries, acceptances=[]))

    assert figures.lost == 1
    assert not figures.keep_the_promise


def test_a_row_with_a_wrong_number_and_no_final_state_is_lost() -> None:
    assert count(evidence(sale(1, wrong=True), entries=[], acceptances=[accepted(2)])).lost == 1


def test_an_acceptance_alone_means_that_the_row_is_not_lost() -> None:
    assert count(evidence(sale(1), entries=[], acceptances=[accepted(1)])).lost == 0


def test_a_second_acceptance_after_a_doubt_is_a_double_within_doubt() -> None:
    seen = evidence(sale(1), entries=[entry(1, doubts=1)], acceptances=[accepted(1), accepted(1)])

    figures = count(seen)

    assert (figures.doubled, figures.doubled_beyond_doubt) == (1, 0)
    assert figures.keep_the_promise


def test_a_second_acceptance_without_a_doubt_breaks_the_promise() -> None:
    seen = evidence(sale(1), entries=[entry(1)], acceptances=[accepted(1), accepted(1)])

    figures = count(seen)

    assert (figures.doubled, figures.doubled_beyond_doubt) == (1, 1)
    assert not figures.keep_the_promise


def test_latencies_start_at_the_commit_and_for_later_rows_when_they_are_due() -> None:
    seen = evidence(
        sale(1),
        sale(2, due_in_s=2.0),
        entries=[entry(1), entry(2)],
        acceptances=[accepted(1, at_s=100.5), accepted(2, at_s=102.75), accepted(2, at_s=150)],
    )

    figures = count(seen)

    assert figures.commit_to_topic_ms == Percentiles(p50=250.0, p99=250.0)
    assert figures.commit_to_accepted_ms == Percentiles(p50=500.0, p99=750.0)


def test_percentiles_take_the_nearest_rank() -> None:
    assert Percentiles.of(n / 1000 for n in range(1, 101)) == Percentiles(p50=50.0, p99=99.0)
    assert Percentiles.of([]) == Percentiles(p50=None, p99=None)


def test_demo_is_at_rest_when_every_committed_row_is_done() -> None:
    sales = [sale(1), sale(2)]

    assert is_at_rest(sales, [entry(1), entry(2)], set())
    assert not is_at_rest(sales, [entry(1)], set())
    assert not is_at_rest(sales, [entry(1), replace(entry(2), done=False)], set())


def test_demo_is_not_at_rest_before_its_dead_letters_were_seen() -> None:
    given_up = entry(1, "failed", given_up="permanent")

    assert not is_at_rest([sale(1)], [given_up], set())
    assert is_at_rest([sale(1)], [given_up], {given_up.message_id})
