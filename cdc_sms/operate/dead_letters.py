"""Dead letters as people look at them: listed, filtered, one shown whole; masked unless asked."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import Engine

from cdc_sms.config.settings import Sections
from cdc_sms.errors import ActRefused
from cdc_sms.kafka.headers import DeadLetter, parse, texts
from cdc_sms.kafka.reading import FoundRecord, newest_records, one_record
from cdc_sms.model.masking import masked_number, masked_text
from cdc_sms.model.recipient import InvalidRecipient, Recipient
from cdc_sms.operate.letter_standing import Letter, Standings

T = TypeVar("T")

MOST_LOOKED_AT = 10_000
"""Records of each partition that a list looks through, the newest first."""

PAGE = 500
"""Letters whose standing is asked for at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which dead letters are wanted; None lets all pass.

    Attributes:
        dead_letter_class: exactly this class.
        code: exactly this failure code.
        since: produced at this time or later; aware.
        until: produced before this time; aware.
        recipient: to this number, in any usual form.
    """

    dead_letter_class: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    recipient: str | None = None

    @property
    def are_given(self) -> bool:
        """Say whether anything is asked for at all."""
        return self.look_at_content or self.since is not None

    @property
    def look_at_content(self) -> bool:
        """Say whether more than the newest records must be looked at."""
        return any((self.dead_letter_class, self.code, self.until, self.recipient))


@dataclass(frozen=True, slots=True)
class Listed:
    """What was found.

    Attributes:
        letters: one table each, the newest first: ``letter`` (``partition:offset``), ``at``,
            ``class``, ``code``, ``why``, ``recipient``, ``message_id``, ``attempts``,
            ``original``, ``standing`` (None: not known).
        why_unknown: why nobody knows how they stand; None where it is known.
    """

    letters: list[dict[str, Any]]
    why_unknown: str | None


def list_dead_letters(
    sections: Sections,
    engine: Engine,
    filters: Filters,
    *,
    settled: bool,
    limit: int,
    reveal: bool,
    wait_s: float,
) -> Listed:
    """Return dead letters, the newest first.

    Args:
        sections: the configuration.
        engine: where the ledger is; where it can't be read, all letters are shown.
        filters: which.
        settled: whether those are shown too that nothing is left to be done about.
        limit: the most that are returned.
        reveal: whether numbers are shown whole.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    standings = Standings(engine)

    def newest(each: int) -> tuple[list[dict[str, Any]], int]:
        records = newest_records(
            sections.kafka, sections.kafka.dlq, each=each, since=filters.since, wait_s=wait_s
        )
        # lines, not records: a record may be as large as its topic allows
        wanted = (
            (Letter.of(record), _line(record, sections, reveal=reveal))
            for record in records
            if passes(record, filters, sections)
        )
        return _newest(wanted, standings, settled=settled, limit=limit)

    lines, hidden = newest(MOST_LOOKED_AT if filters.look_at_content else limit)
    if hidden and not filters.look_at_content:  # what is behind them is wanted in their place
        lines, _ = newest(MOST_LOOKED_AT)
    return Listed(lines, standings.why_unknown)


def show_dead_letter(
    sections: Sections,
    engine: Engine,
    *,
    partition: int,
    offset: int,
    reveal: bool,
    wait_s: float,
) -> dict[str, Any] | None:
    """Return everything about one dead letter, or None where there is none.

    Args:
        sections: the configuration.
        engine: where the ledger is; where it can't be read, the standing isn't known.
        partition: where it is on the topic.
        offset: the same.
        reveal: whether the row is shown as it stands, instead of masked.
        wait_s: how long a broker may take to answer; seconds.

    Returns:
        The fields of :class:`Listed`, then ``provider``, ``first_failure_at``,
        ``last_failure_at``, ``redrives``, ``headers``, ``key``, ``row``.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    record = one_record(
        sections.kafka, sections.kafka.dlq, partition=partition, offset=offset, wait_s=wait_s
    )
    if record is None:
        return None
    letter = Letter.of(record)
    said = parse(record.headers)
    return {
        **_line(record, sections, reveal=reveal),
        "standing": Standings(engine).of([letter])[0],
        "provider": said.provider if said else None,
        "first_failure_at": said.first_failure_at if said else None,
        "last_failure_at": said.last_failure_at if said else None,
        "redrives": said.redrives if said else None,
        "headers": dict(texts(record.headers)),
        "key": _as_shown(record.key, reveal=True),
        "row": _row_as_shown(record, sections, reveal=reveal),
    }


def letter_record(sections: Sections, place: tuple[int, int], *, wait_s: float) -> FoundRecord:
    """Return the record of a dead letter that a person names.

    Raises:
        ActRefused: there is none.
        BrokerUnavailable: no broker answers.
    """
    partition, offset = place
    record = one_record(
        sections.kafka, sections.kafka.dlq, partition=partition, offset=offset, wait_s=wait_s
    )
    if record is None:
        raise ActRefused(
            f"{sections.kafka.dlq} has no record {partition}:{offset}.",
            hint="'cdc-sms dlq list' shows the letters that there are.",
        )
    return record


def in_pages(many: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield things as they come, by pages of at most this size."""
    rest = iter(many)
    while page := list(islice(rest, size)):
        yield page


def _age(letter: Letter) -> tuple[datetime, int, int]:
    return letter.at, letter.partition, letter.offset


def _newest(
    lines: Iterable[tuple[Letter, dict[str, Any]]],
    standings: Standings,
    *,
    settled: bool,
    limit: int,
) -> tuple[list[dict[str, Any]], int]:
    """Return the newest lines, with how their letters stand, and how many were hidden."""
    newest: list[tuple[Letter, dict[str, Any]]] = []
    hidden = 0
    for page in in_pages(lines, PAGE):
        found = standings.of([letter for letter, _ in page])
        shown = [
            (letter, {**line, "standing": standing})
            for (letter, line), standing in zip(page, found, strict=True)
            if settled or standing is None or not standing.is_settled
        ]
        hidden += len(page) - len(shown)
        newest = heapq.nlargest(limit, [*newest, *shown], key=lambda one: _age(one[0]))
    return [line for _, line in newest], hidden


def row_of(value: bytes | None) -> Mapping[str, Any] | None:
    """Return the row inside a record's value, in whichever of Debezium's forms; None: no row."""
    try:
        content = orjson.loads(value or b"")
    except ValueError:
        return None
    if isinstance(content, dict) and isinstance(content.get("payload"), dict):
        content = content["payload"]
    if isinstance(content, dict) and ("after" in content or "before" in content):
        content = content.get("after") or content.get("before")
    return content if isinstance(content, dict) else None


def _line(record: FoundRecord, sections: Sections, *, reveal: bool) -> dict[str, Any]:
    letter = Letter.of(record)
    said = parse(record.headers)
    number = _recipient(record, sections)
    return {
        "letter": letter.name,
        "at": letter.at,
        "class": said.dead_letter_class.value if said else None,
        "code": said.code if said else None,
        "why": said.text if said else "no dead letter of ours: its headers say nothing",
        "recipient": number if number is None or reveal else masked_number(number),
        "message_id": said.message_id if said else None,
        "attempts": said.attempt if said else None,
        "original": _original(said),
    }


def _original(said: DeadLetter | None) -> str | None:
    if said is None:
        return None
    return f"{said.original_topic} {said.original_partition}:{said.original_offset}"


def passes(record: FoundRecord, filters: Filters, sections: Sections) -> bool:
    """Say whether a record is one of those that are wanted."""
    letter = Letter.of(record)
    return (
        (filters.dead_letter_class is None or filters.dead_letter_class == letter.dead_letter_class)
        and (filters.code is None or filters.code == letter.code)
        and (filters.since is None or letter.at >= filters.since)
        and (filters.until is None or letter.at < filters.until)
        and (filters.recipient is None or _is_to(record, filters.recipient, sections))
    )


def _is_to(record: FoundRecord, wanted: str, sections: Sections) -> bool:
    number = _recipient(record, sections)
    region = sections.deliver.region
    return number is not None and _comparable(number, region) == _comparable(wanted, region)


def _comparable(number: str, region: str) -> str:
    """Return the number in one form; one that is no valid number as it stands."""
    try:
        return Recipient.parse(number, region=region).reveal()
    except InvalidRecipient:
        return "".join(number.split())


def _recipient(record: FoundRecord, sections: Sections) -> str | None:
    row = row_of(record.value) or {}
    number = row.get(sections.table.columns.recipient)
    return None if number is None else str(number)


def _row_as_shown(record: FoundRecord, sections: Sections, *, reveal: bool) -> object:
    row = row_of(record.value)
    if row is None or reveal:
        return row if row is not None else _as_shown(record.value, reveal=reveal)
    columns = sections.table.columns
    harmless = {*columns.key, columns.status, columns.created_at, columns.send_after}
    harmless |= {columns.expires_at, columns.sent_at, columns.attempts}
    return {
        name: value if name in harmless else _masked(value, name == columns.recipient)
        for name, value in row.items()
    }


def _masked(value: object, is_number: bool) -> object:  # noqa: FBT001 - private
    if value is None or isinstance(value, bool):
        return value
    return masked_number(str(value)) if is_number else masked_text(str(value))


def _as_shown(value: bytes | None, *, reveal: bool) -> str | None:
    """Return bytes that are no row: as text where they are one, else as hexadecimal digits."""
    if value is None:
        return None
    if not reveal:
        return f"<{len(value)} bytes>"
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
