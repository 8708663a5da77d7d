"""How values look to a person, and how long a command waits."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from cdc_sms.cli.shared import (
    Duration,
    Moment,
    bytes_text,
    duration_text,
    patiently,
    shown,
    time_text,
)
from cdc_sms.errors import DatabaseUnavailable, SetupError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59, "59 s"),
        (250, "4 min 10 s"),
        (3600, "1 h 0 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_duration_is_told_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (16 * 2**20, "16.0 MiB"), (5 * 2**40, "5.0 TiB")],
)
def test_bytes_are_told_in_a_unit_that_people_read(count: int | None, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (0, "0"),
        (datetime(2026, 11, 24, 6, 0, tzinfo=timezone(timedelta(hours=1))), "2026-11-24 05:00:00Z"),
    ],
    ids=["none", "empty", "truth", "zero", "time of another zone"],
)
def test_value_is_shown_as_a_person_reads_it(value: object, text: str) -> None:
    assert shown(value) == text


def test_time_out_of_json_is_shown_the_same_and_no_time_as_it_is() -> None:
    assert time_text("2026-11-24T05:00:00Z") == "2026-11-24 05:00:00Z"
    assert time_text("soon") == "soon"
    assert time_text(None) == "-"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T05:47", datetime(2026, 11, 24, 5, 47, tzinfo=UTC)),
        ("2026-11-24T05:47+01:00", datetime(2026, 11, 24, 4, 47, tzinfo=UTC)),
    ],
    ids=["day", "without zone", "with zone"],
)
def test_moment_is_iso_8601_in_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert Moment().convert(text, None, None) == moment


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_moment_is_also_how_long_ago(text: str, ago: timedelta) -> None:
    found = Moment().convert(text, None, None)

    assert timedelta() <= datetime.now(UTC) - ago - found < timedelta(seconds=5)


def test_moment_that_is_none_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        Moment().convert("noon", None, None)


def test_waiting_repeats_until_the_server_answers() -> None:
    errors = [DatabaseUnavailable("no", hint="wait")]

    def ask() -> str:
        if errors:
            raise errors.pop()
        return "here"

    assert patiently(ask, wait_s=10) == "here"


def test_waiting_ends_with_the_server_s_own_error() -> None:
    def ask() -> None:
        raise DatabaseUnavailable("no", hint="wait")

    with pytest.raises(DatabaseUnavailable):
        patiently(ask, wait_s=0)


def test_what_waiting_does_not_heal_is_told_at_once() -> None:
    tries = []

    def ask() -> None:
        tries.append(1)
        raise SetupError("no right", hint="grant it")

    with pytest.raises(SetupError):
        patiently(ask, wait_s=60)
    assert len(tries) == 1


@pytest.mark.parametrize(("given", "seconds"), [("90s", 90.0), ("30m", 1800.0), ("3d", 259_200.0)])
def test_duration_is_read_with_its_unit(given: str, seconds: float) -> None:
    assert Duration().convert(given, None, None) == seconds


@pytest.mark.parametrize("given", ["", "90", "h", "-1h", "1.5h", "soon"])
def test_what_is_no_duration_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(click.BadParameter, match="give 90s, 24h or 3d"):
        Duration().convert(given, None, None)
