"""``explain``: one message's story in order of time, what it waits for and what would move it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import orjson
import phonenumbers
from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Kind, Sections
from cdc_sms.databases.acts import Act, Acts
from cdc_sms.databases.auditing import attempts_of
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.by_recipient import rows_to
from cdc_sms.databases.control import MEMORY, Control
from cdc_sms.databases.dialects.base import Slot
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.lookup import messages_by_id
from cdc_sms.databases.reading import read_only, slot
from cdc_sms.envelope.row_key import RowKey
from cdc_sms.errors import (
    ActRefused,
    CdcSmsError,
    DatabaseError,
    DatabaseUnavailable,
    EnvelopeError,
    MappingError,
)
from cdc_sms.kafka.headers import EMITTED, REPLAYED, texts
from cdc_sms.kafka.reading import FoundRecord, newest_records, one_record
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import AttemptRow, Delivery
from cdc_sms.model.masking import masked_number, masked_text
from cdc_sms.model.memory import Memory
from cdc_sms.operate.acting import find_message
from cdc_sms.operate.replay import row_keys
from cdc_sms.operate.roles import ask_roles
from cdc_sms.operate.waits import (
    Surroundings,
    Waits,
    what_an_unknown_row_waits_for,
    what_it_waits_for,
)

LOOKED_AT = 2_000
"""Records of each partition among which one of an unknown row is looked for."""

TO_NUMBER = 20
"""Messages to a number that are listed, the newest first."""

Facts = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_NUMBER = 5


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a message.

    Attributes:
        at: when.
        what: in a word or two.
        facts: what is known of it; no number, no text of the message.
    """

    at: datetime
    what: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Story:
    """One message's story.

    Attributes:
        message_id: which.
        state: as it stands; None: the ledger doesn't know it.
        row: as it stands, masked unless asked; None: it is gone, or another message's now.
        record: where it lies on the outbox, and where its change was in the database's log.
        write_back: what was written to its row, and what is owed; None as ``state``.
        events: the oldest first.
        waits_for: what it waits for now, in one sentence.
        moved_by: what would move it.
    """

    message_id: str
    state: str | None
    row: Facts | None
    record: Facts
    write_back: Facts | None
    events: list[Event]
    waits_for: str
    moved_by: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What a person may mean.

    Attributes:
        stories: of the messages of an id or a key, the oldest first.
        to_number: messages to a number, the newest first: ``message_id``, ``created_at``,
            ``status`` of the row, ``state`` in the ledger.
    """

    stories: list[Story]
    to_number: list[Facts]


def explain(
    engine: Engine, sections: Sections, what: str, *, reveal: bool, wait_s: float
) -> Explained:
    """Tell the stories of the messages that a person may mean.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        what: a message id, a key with its table or without, or a phone number.
        reveal: whether the row is shown as it stands, instead of masked.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        ActRefused: there is none.
        DatabaseUnavailable: the database can't be reached now.
    """
    narrator = _Narrator(engine, sections, reveal=reveal, wait_s=wait_s)
    stories = narrator.of_known(what) or narrator.of_unknown(what)
    if stories:
        return Explained(stories, [])
    listed = _to_number(engine, sections, what)
    if not listed:
        raise _nowhere(sections, what)
    return Explained([], listed)


def _nowhere(sections: Sections, what: str) -> ActRefused:
    """Return the refusal of what nobody knows; what may be a number is not told."""
    is_number = bool(usual_forms(what, region=sections.deliver.region))
    named = "of that number or key" if is_number else what
    return ActRefused(
        f"Neither the ledger nor the table knows a message {named}.",
        hint="Give a message id as 'dlq list' shows it, the row's primary key, or a phone number.",
    )


class _Narrator:
    """Collects what the ledger, the table, the topic and the roles know.

    Thread: one.
    """

    def __init__(self, engine: Engine, sections: Sections, *, reveal: bool, wait_s: float) -> None:
        self._engine = engine
        self._sections = sections
        self._reveal = reveal
        self._wait_s = wait_s

    def of_known(self, what: str) -> list[Story]:
        """Return the stories of messages that the ledger knows."""

        def work(connection: Connection) -> list[tuple[_Known, Surroundings]]:
            table = self._sections.table
            found = find_message(connection, Ledger(), what, table=table.name)
            if not found:
                return []
            acts = Acts().of_targets(connection, [message.id for message in found])
            mapped = BusinessTable.reflect(connection, table)
            keys = mapped.keys_of([message.key_values for message in found])
            rows = mapped.read(connection, list(dict.fromkeys(keys))).rows
            around = _around(connection, self._sections)
            return [
                (
                    _Known(m, rows.get(key), attempts_of(connection, m.id), acts.get(m.id, [])),
                    around,
                )
                for m, key in zip(found, keys, strict=True)
            ]

        found = read_only(self._engine, work)
        roles = self._roles() if any(not known.message.is_done for known, _ in found) else ()
        return [self._story(known, _with_roles(around, roles)) for known, around in found]

    def of_unknown(self, what: str) -> list[Story]:
        """Return the story of a row that the ledger doesn't know."""

        def work(
            connection: Connection,
        ) -> tuple[BusinessTable, BusinessRow, Surroundings, Slot | None] | None:
            mapped = BusinessTable.reflect(connection, self._sections.table)
            values = _key_values(what, self._sections.table.name)
            if len(values) != len(mapped.key_columns):
                return None
            keys = mapped.keys_of([orjson.dumps(values).decode()])
            rows = list(mapped.read(connection, keys).rows.values())
            if not rows:
                return None
            around = _around(connection, self._sections)
            return mapped, rows[0], around, slot(connection, self._sections.capture.slot)

        try:
            found = read_only(self._engine, work)
        except (DatabaseUnavailable, MappingError):
            raise
        except DatabaseError:  # what was given is no value of the key's type
            return []
        if found is None:
            return []
        mapped, row, around, its_slot = found
        known = self.of_known(row.message_id)
        if known:
            return known
        return [self._unknown_story(mapped, row, _with_roles(around, self._roles()), its_slot)]

    def _roles(self) -> Sequence[Mapping[str, Any]]:
        return ask_roles(self._sections.serve.roles)

    def _story(self, known: "_Known", around: Surroundings) -> Story:
        message = known.message
        row = known.row if known.row is not None and known.row.message_id == message.id else None
        record = self._record(message)
        events = _events(known)
        if "at" in record:
            facts = {name: value for name, value in record.items() if name != "at"}
            events.append(Event(record["at"], "on the outbox", facts))
        waits = what_it_waits_for(message, row, around)
        return Story(
            message_id=message.id,
            state=message.state,
            row=None if row is None else self._row(row),
            record=record,
            write_back={
                "written": message.row_word,
                "owed": message.intended_word if message.owes_write else None,
                "next_at": message.next_write_at if message.owes_write else None,
                "failures": message.write_failures,
            },
            events=sorted(events, key=lambda event: event.at),
            waits_for=waits.reason,
            moved_by=waits.moved_by,
        )

    def _unknown_story(
        self,
        mapped: BusinessTable,
        row: BusinessRow,
        around: Surroundings,
        its_slot: Slot | None,
    ) -> Story:
        record = self._record_of_row(mapped, row)
        events = []
        if row.created_instant is not None:
            events.append(Event(row.created_instant, "row created", {}))
        if "at" in record:
            events.append(Event(record["at"], "on the outbox", {"record": record["record"]}))
        waits: Waits = what_an_unknown_row_waits_for(
            row, record.get("record"), around, slot=_slot_text(its_slot, self._sections.source.kind)
        )
        if "why_not" in record and "record" not in record:
            waits = Waits(f"It isn't known: {record['why_not']}", "cdc-sms status")
        return Story(
            message_id=row.message_id,
            state=None,
            row=self._row(row),
            record=record,
            write_back=None,
            events=sorted(events, key=lambda event: event.at),
            waits_for=waits.reason,
            moved_by=waits.moved_by,
        )

    def _row(self, row: BusinessRow) -> Facts:
        sender = row.sender
        return {
            "status": row.word,
            "recipient": row.recipient if self._reveal else masked_number(row.recipient),
            "text": row.text if self._reveal else masked_text(row.text),
            "sender": sender if sender is None or self._reveal else masked_text(sender),
            "created_at": row.created_at,
            "send_after": row.send_after,
            "expires_at": row.expires_at,
        }

    def _record(self, message: Delivery) -> Facts:
        """Return the record that a message was last seen by; where it isn't there, why."""
        if message.record_partition is None or message.record_offset is None:
            return {"why_not": "the ledger notes no record of it"}
        place = f"{message.record_partition}:{message.record_offset}"
        kafka = self._sections.kafka
        try:
            found = one_record(
                kafka,
                kafka.outbox,
                partition=message.record_partition,
                offset=message.record_offset,
                wait_s=self._wait_s,
            )
        except CdcSmsError as error:
            return {"record": place, "why_not": error.message}
        if found is None or found.key != message.record_key:
            return {"record": place, "why_not": "it is no longer on the outbox"}
        return _facts_of(found)

    def _record_of_row(self, mapped: BusinessTable, row: BusinessRow) -> Facts:
        """Look for a record of a row among the newest; return its first."""
        reader, kafka = row_keys(self._sections, mapped), self._sections.kafka
        try:
            records = newest_records(
                kafka, kafka.outbox, each=LOOKED_AT, since=None, wait_s=self._wait_s
            )
            for record in records:
                try:
                    asked = reader.read(record.key, record.value, record.headers)
                except EnvelopeError:
                    continue
                if isinstance(asked, RowKey) and asked.key_text == row.key_text:
                    return _facts_of(record)
        except CdcSmsError as error:
            return {"why_not": error.message}
        return {"looked_at": LOOKED_AT}


@dataclass(frozen=True, slots=True)
class _Known:
    message: Delivery
    row: BusinessRow | None
    attempts: Sequence[AttemptRow]
    acts: Sequence[Act]


def _around(connection: Connection, sections: Sections) -> Surroundings:
    value = Control().get(connection, MEMORY)
    return Surroundings(
        sections=sections,
        holds=Control().holds(connection),
        memory=None if value is None else Memory.from_value(value),
        roles=(),
        now=Ledger().now(connection),
    )


def _with_roles(around: Surroundings, roles: Sequence[Mapping[str, Any]]) -> Surroundings:
    return Surroundings(
        sections=around.sections,
        holds=around.holds,
        memory=around.memory,
        roles=roles,
        now=around.now,
    )


# ---- events --------------------------------------------------------------------------------------


def _events(known: _Known) -> list[Event]:
    message = known.message
    events = [Event(message.seen_at, "seen", {"key": message.message_key})]
    if known.row is not None and known.row.message_id == message.id and known.row.created_instant:
        events.append(Event(known.row.created_instant, "row created", {}))
    events += [_attempt(one) for one in known.attempts]
    events += [Event(a.started_at, a.act, {"who": a.who, **a.details}) for a in known.acts]
    if message.dlq_offset is not None and message.last_failed_at is not None:
        letter = f"{message.dlq_partition}:{message.dlq_offset}"
        facts = {"letter": letter, "class": message.dead_letter_class}
        events.append(Event(message.last_failed_at, "dead letter", facts))
    if message.unclear_at is not None:
        events.append(Event(message.unclear_at, "row pending again", {"class": "unclear"}))
    if message.emitted_at is not None:
        events.append(Event(message.emitted_at, "emitted again", {}))
    return events


def _attempt(one: AttemptRow) -> Event:
    began = one.started_at
    facts = {
        "round": one.round,
        "number": one.number,
        "counted": one.counted,
        "outcome": one.outcome,
        "code": one.code,
        "provider": one.provider,
        "seconds": None if began is None else (one.finished_at - began).total_seconds(),
    }
    return Event(one.finished_at, "attempt", {k: v for k, v in facts.items() if v is not None})


def _facts_of(record: FoundRecord) -> Facts:
    """Return where a record lies, and where its change was in the database's log."""
    source, said = _source(record.value), texts(record.headers)
    facts: Facts = {
        "record": f"{record.partition}:{record.offset}",
        "at": _EPOCH + timedelta(milliseconds=record.timestamp_ms),
        "lsn": source.get("lsn"),
        "transaction": source.get("txId"),
        "emitted": said.get(EMITTED),
        "replayed": said.get(REPLAYED),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _source(value: bytes | None) -> Mapping[str, Any]:
    try:
        content = orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        return {}
    if isinstance(content, dict) and isinstance(content.get("payload"), dict):
        content = content["payload"]
    source = content.get("source") if isinstance(content, dict) else None
    return source if isinstance(source, dict) else {}


def _slot_text(its_slot: Slot | None, kind: Kind) -> str:
    if kind != "postgres":
        return "cdc-sms status says how far capture is"
    if its_slot is None:
        return "no replication slot of that name stands"
    reads = "is read from" if its_slot.active else "is read by nobody"
    return f"the slot {its_slot.name} {reads}, {its_slot.unconfirmed_bytes} bytes behind"


# ---- what a person may mean ----------------------------------------------------------------------


def _key_values(what: str, table: str) -> list[str]:
    """Return a key's values as a person gave them, with or without the table and created-at."""
    prefix = f"{table}/"
    if what.startswith(prefix):
        what = what.removeprefix(prefix).rsplit("@", 1)[0]
    return [unquote(part) for part in what.split("/")]


def _to_number(engine: Engine, sections: Sections, what: str) -> list[Facts]:
    """Return the newest messages to a number; none where it is no number."""
    numbers = usual_forms(what, region=sections.deliver.region)
    if not numbers:
        return []

    def work(connection: Connection) -> list[Facts]:
        rows = rows_to(connection, sections.table, numbers, limit=TO_NUMBER)
        known = messages_by_id(connection, Ledger(), [row.message_id for row in rows])
        return [
            {
                "message_id": row.message_id,
                "created_at": row.created_at,
                "status": row.word,
                "state": known[row.message_id].state if row.message_id in known else None,
            }
            for row in rows
        ]

    return read_only(engine, work)


def usual_forms(number: str, *, region: str) -> frozenset[str]:
    """Return the forms in which a table may hold a number; none where it is no number.

    Args:
        number: as a person writes it.
        region: of a national number, ISO 3166.
    """
    digits = "".join(c for c in number if c.isdigit())
    if len(digits) < _SHORTEST_NUMBER or set(number) - set("0123456789+-() ."):
        return frozenset()
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return frozenset({number})
    form = phonenumbers.PhoneNumberFormat
    e164 = phonenumbers.format_number(parsed, form.E164)
    national = phonenumbers.format_number(parsed, form.NATIONAL)
    international = phonenumbers.format_number(parsed, form.INTERNATIONAL)
    spaced = {national, international, international.removeprefix("+")}
    plain = {e164, e164.removeprefix("+"), f"00{e164.removeprefix('+')}"}
    plain.add("".join(c for c in national if c.isdigit()))
    return frozenset({number, *plain, *spaced, *(one.replace(" ", "-") for one in spaced)})
