from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import NOW, gate, hold, look, message, row

from cdc_sms.deliver.gate import Verdict
from cdc_sms.model.hold import HoldKind
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import State

SINCE = NOW - timedelta(minutes=5)
OLD = row(created_instant=SINCE - timedelta(minutes=1))
SNAPSHOT = replace(look(), is_snapshot=True)


def test_nothing_is_held_without_a_hold() -> None:
    assert gate().ask(look(), message(), row()) is Verdict.PASS


@pytest.mark.parametrize("kind", [HoldKind.MANUAL, HoldKind.FLOOD, HoldKind.ACCOUNT])
def test_a_hold_of_the_flow_holds_every_message(kind: HoldKind) -> None:
    closed = gate(holds=[hold(kind)])

    assert closed.ask(look(), message(), row()) is Verdict.HELD
    assert closed.blocks() == hold(kind)


def test_the_probe_passes_its_own_provider_s_hold_and_no_other() -> None:
    account = hold(HoldKind.ACCOUNT, name="account:justsend")

    assert gate(holds=[account], probing=True).ask(look(), message(), row()) is Verdict.PASS
    both = gate(holds=[account, hold()], probing=True)
    assert both.ask(look(), message(), row()) is Verdict.HELD


def test_resume_let_passes_as_many_as_it_says_and_holds_the_next() -> None:
    opened = gate(holds=[hold(HoldKind.FLOOD, let=2)])

    verdicts = [opened.ask(look(), message(), row()) for _ in range(3)]

    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.HELD]
    assert opened.changed["flood"].let == 0
    assert opened.blocks() is not None


def test_what_lay_on_the_topic_when_it_was_said_is_given_up_and_later_records_are_held() -> None:
    before = look()
    later = replace(before, record=replace(before.record, offset=before.record.offset + 1))
    end = {before.record.partition: before.record.offset + 1}
    flood = gate(holds=[hold(HoldKind.FLOOD, give_up_before=end)])

    assert flood.ask(before, message(), row()) is Verdict.GIVE_UP
    assert flood.ask(later, message(), row()) is Verdict.HELD
    assert flood.blocks() is None


def test_a_small_backlog_passes_and_one_row_more_holds_it() -> None:
    first_start = gate(memory=Memory(since=SINCE, let=2))

    verdicts = [first_start.ask(SNAPSHOT, message(), OLD) for _ in range(3)]

    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.HELD]
    assert first_start.made is not None
    assert first_start.made.kind is HoldKind.BACKLOG


def test_a_backlog_holds_no_message_that_is_new() -> None:
    held = gate(memory=Memory(since=SINCE), holds=[hold(HoldKind.BACKLOG)])
    new = row(created_instant=SINCE + timedelta(seconds=1))

    assert held.ask(SNAPSHOT, message(), OLD) is Verdict.HELD
    assert held.ask(look(), message(), new) is Verdict.PASS
    assert held.blocks() is None


def test_a_row_from_long_before_the_first_start_holds_the_backlog_however_small() -> None:
    first_start = gate(memory=Memory(since=SINCE, let=100))
    ancient = row(created_instant=SINCE - timedelta(days=2))

    assert first_start.ask(look(), message(), ancient) is Verdict.HELD
    assert first_start.made is not None


def test_an_accepted_backlog_passes() -> None:
    accepted = gate(memory=Memory(since=SINCE, accepted=True))

    assert accepted.ask(SNAPSHOT, message(), OLD) is Verdict.PASS


def test_a_message_that_was_tried_is_no_history() -> None:
    first_start = gate(memory=Memory(since=SINCE, let=0))
    tried = message(State.RETRYING, attempts=1)

    assert first_start.ask(SNAPSHOT, tried, OLD) is Verdict.PASS


def test_after_adopting_what_was_tried_before_is_held_and_what_is_tried_since_goes_on() -> None:
    adopted = Memory(since=SINCE, kind=HoldKind.HISTORY, margin_s=0.0)
    before = message(State.RETRYING, attempts=1, changed_at=SINCE - timedelta(seconds=1))
    since = message(State.RETRYING, attempts=1, changed_at=SINCE + timedelta(seconds=1))

    assert gate(memory=adopted).ask(look(), before, OLD) is Verdict.HELD
    assert gate(memory=adopted).ask(look(), since, OLD) is Verdict.PASS


def test_history_is_what_is_older_than_the_memory_by_more_than_its_margin() -> None:
    pruned = gate(memory=Memory(since=SINCE, kind=HoldKind.HISTORY))
    ancient = row(created_instant=SINCE - timedelta(days=1, seconds=1))

    assert pruned.ask(look(), message(), OLD) is Verdict.PASS
    assert pruned.ask(look(), message(), ancient) is Verdict.HELD
    assert pruned.made is not None
    assert pruned.made.kind is HoldKind.HISTORY


def test_without_created_at_only_a_snapshot_s_rows_are_a_backlog() -> None:
    first_start = gate(memory=Memory(since=SINCE, let=0))
    undated = row(created_instant=None)

    assert first_start.ask(look(), message(), undated) is Verdict.PASS
    assert first_start.ask(SNAPSHOT, message(), undated) is Verdict.HELD


def test_memory_reads_what_it_wrote() -> None:
    memory = Memory(since=SINCE, kind=HoldKind.HISTORY, let=3, accepted=True, margin_s=0.0)

    assert Memory.from_value(memory.as_value()) == memory
