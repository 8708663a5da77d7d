"""A table, a ledger and topics without any role: what a person's acts are tried on."""

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import Connection, Engine

from cdc_sms.cli.main import run
from cdc_sms.databases.control import Control, Value
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.migrations import upgrade
from cdc_sms.kafka.headers import DeadLetter, dead_letter_headers
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import Hold
from cdc_sms.model.state import DeadLetterClass, State
from support.business.base import Database
from support.business.dialects import business_of
from support.commands import Command, Commands
from support.flow import COLUMNS
from support.ledgers import sections_of

NUMBER = "+48600100200"


@dataclass(frozen=True)
class Said:
    """What a command wrote."""

    output: str
    errors: str


@dataclass
class Site:
    """One installation on which nothing runs."""

    database: Database
    kafka: str
    prefix: str
    cdc_sms: Commands
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Make its table, ledger, topics and configuration."""
        self.business = business_of(self.database)
        self.environment["CDC_SMS_SOURCE__PASSWORD"] = self.business.password
        self.config = self.folder / "cdc-sms.toml"
        self.config.write_text(
            f'[source]\ndsn = "{self.business.dsn}"\n{COLUMNS}\n'
            f'[kafka]\nbootstrap_servers = "{self.kafka}"\nprefix = "{self.prefix}"\n'
            "[providers.justsend]\nmax_segments = 2\n"
        )
        self.database.execute(self.business.table)
        sections = sections_of(self.database)
        self.engine: Engine = open_engine(sections.source, sections.ledger)
        upgrade(self.engine, sections.ledger)
        quiet = {"bootstrap.servers": self.kafka, "log_level": 0}
        self.producer = Producer({**quiet, "acks": "all"})
        admin = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        topics = [NewTopic(f"{self.prefix}.{name}", 2, 1) for name in ("outbox", "dlq")]
        for made in admin.create_topics(topics).values():
            made.result()

    def close(self) -> None:
        """Let go of the database, and remove the topics."""
        self.engine.dispose()
        del self.producer
        admin = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        names = [f"{self.prefix}.{name}" for name in ("outbox", "dlq")]
        for removed in admin.delete_topics(names).values():
            removed.exception()

    # ---- commands ------------------------------------------------------------------------------

    def start(self, *words: str, **environment: str) -> Command:
        """Start a command."""
        return self.cdc_sms(
            *words,
            "--config",
            str(self.config),
            environment={**self.environment, **environment},
        )

    def run(
        self, *words: str, expect: int = 0, answer: str | None = None, **environment: str
    ) -> Said:
        """Run a command to its end, in this process: a fresh one costs more than the command.

        Args:
            words: the command line.
            expect: its exit code.
            answer: what a person at a terminal says when asked; None: there is no terminal.
            environment: variables of its own.
        """
        out, err = _paper(), _paper()
        with (
            pytest.MonkeyPatch.context() as patch,
            _keyboard(answer) as keyboard,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", keyboard)
            code = run([*words, "--config", str(self.config)])
        said = Said(_read(out), _read(err))
        assert code == expect, f"{words} ended with {code}\n{said.output}\n{said.errors}"
        return said

    def json(self, *words: str, expect: int = 0) -> Any:
        """Run a command to its end and return what it says."""
        return json.loads(self.run(*words, "--json", expect=expect).output)

    # ---- the table and the ledger --------------------------------------------------------------

    def insert(self, count: int = 1, *, status: str = "failed") -> list[int]:
        """Insert rows; return their keys."""
        rows = [(NUMBER, f"Hello Anna {n}", status) for n in range(1, count + 1)]
        with self.business.session(commits=True) as session:
            session.insert(rows, "phone, body, status")
            keys = session.execute("SELECT id FROM sms ORDER BY id DESC LIMIT %s", count)
        return sorted(key for (key,) in keys)

    def know(self, keys: Sequence[int], state: State, **facts: Any) -> list[Delivery]:
        """Have the ledger know rows as messages in a state; return them."""
        stamps = self._stamps(keys)
        now = datetime.now(UTC) - timedelta(seconds=1)
        messages = [
            Delivery(
                id=f"sms/{key}@{stamp}",
                message_key=f"sms/{key}",
                key_values=f'["{key}"]',
                row_created_at=stamp,
                state=state,
                record_key=json.dumps({"id": key}).encode(),
                **{"due_at": now, "seen_at": now, "changed_at": now, **facts},
            )
            for key, stamp in sorted(stamps)
        ]
        in_transaction(self.engine, lambda connection: Ledger().insert(connection, messages))
        return messages

    def _stamps(self, keys: Sequence[int]) -> list[tuple[int, str]]:
        """Return created-at, canonical, of each row."""
        ids = f"SELECT s.id, {self.business.id_of_created_at} FROM sms s"
        found = self.database.execute(ids)
        return [(key, one.rpartition("@")[2]) for key, one in found if key in set(keys)]

    def message(self, key: int) -> dict[str, Any]:
        """Return one message's ledger row."""
        with self.engine.connect() as connection:
            row = connection.exec_driver_sql(
                "SELECT * FROM cdc_sms_delivery WHERE message_key = %s", (f"sms/{key}",)
            )
            return dict(row.mappings().one())

    def states(self) -> dict[tuple[str, int], int]:
        """Count the messages by state and round."""
        rows = self.database.execute(
            "SELECT state, round, count(*) FROM cdc_sms_delivery GROUP BY 1, 2"
        )
        return {(state, number): count for state, number, count in rows}

    def acts(self, target: str | None = None) -> list[tuple[str, Mapping[str, Any], Any]]:
        """Return command, details and outcome of the acts on one thing, or of those on many."""
        rows = self.database.execute(
            "SELECT act, details, outcome, target FROM cdc_sms_act ORDER BY started_at"
        )
        return [(act, json.loads(d), o and json.loads(o)) for act, d, o, of in rows if of == target]

    def hold(self, *holds: Hold) -> None:
        """Put holds in force."""

        def work(connection: Connection) -> None:
            for hold in holds:
                Control().hold(connection, hold)

        in_transaction(self.engine, work)

    def control(self, name: str) -> Value | None:
        """Return a control value."""
        return in_transaction(self.engine, lambda connection: Control().get(connection, name))

    def put(self, name: str, value: Value) -> None:
        """Set a control value."""
        in_transaction(self.engine, lambda connection: Control().put(connection, name, value))

    # ---- topics --------------------------------------------------------------------------------

    def write_letter(
        self,
        key: int | None,
        letter_class: DeadLetterClass,
        *,
        message_id: str | None = None,
        code: str = "INVALID_MSISDN",
        value: bytes | None = None,
    ) -> str:
        """Write a dead letter; return where it lies, ``P:O``."""
        row = {"before": None, "after": {"id": key, "phone": NUMBER, "body": "Hello Anna"}}
        now = datetime.now(UTC)
        letter = DeadLetter(
            dead_letter_class=letter_class,
            code=code,
            text="It was refused.",
            original_topic=f"{self.prefix}.outbox",
            original_partition=0,
            original_offset=1,
            original_timestamp_ms=1_700_000_000_000,
            first_failure_at=now,
            last_failure_at=now,
            message_id=message_id,
        )
        return self.produce(
            "dlq",
            key=None if key is None else json.dumps({"id": key}).encode(),
            value=value or json.dumps({**row, "op": "c"}).encode(),
            headers=dict(dead_letter_headers(letter, [("theirs", b"kept")])),
        )

    def produce(
        self, topic: str, *, key: bytes | None, value: bytes, headers: Mapping[str, bytes]
    ) -> str:
        """Write a record; return where it lies, ``P:O``."""
        places: list[str] = []
        self.producer.produce(
            f"{self.prefix}.{topic}",
            value,
            key,
            headers=dict(headers),
            on_delivery=lambda _, record: places.append(f"{record.partition()}:{record.offset()}"),
        )
        self.producer.flush(10)
        return places[0]

    def give_up(
        self, key: int, letter_class: DeadLetterClass = DeadLetterClass.PERMANENT, **facts: Any
    ) -> str:
        """Have a row's message given up, with its letter; return where the letter lies."""
        return self.give_all_up([key], letter_class, **facts)[0]

    def give_all_up(
        self,
        keys: Sequence[int],
        letter_class: DeadLetterClass = DeadLetterClass.PERMANENT,
        **facts: Any,
    ) -> list[str]:
        """Do so with many rows; return where the letters lie."""
        doubts = int(letter_class is DeadLetterClass.IN_DOUBT)
        plain = {"dead_letter_class": letter_class, "row_word": "failed", "doubts": doubts}
        messages = self.know(keys, State.FAILED, **{**plain, **facts})
        places = [
            self.write_letter(
                int(m.message_key.removeprefix("sms/")), letter_class, message_id=m.id
            )
            for m in messages
        ]
        with self.business.session() as session:
            for place, message in zip(places, messages, strict=True):
                session.execute(
                    "UPDATE cdc_sms_delivery SET dlq_partition = %s, dlq_offset = %s, done = true"
                    " WHERE id = %s",
                    *place.split(":"),
                    message.id,
                )
            session.commit()
        return places

    def records(self, topic: str = "outbox") -> list[Any]:
        """Read a whole topic."""
        name = f"{self.prefix}.{topic}"
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "none"})
        read: list[Any] = []
        try:
            for partition in (0, 1):
                first, end = consumer.get_watermark_offsets(TopicPartition(name, partition))
                consumer.assign([TopicPartition(name, partition, first)])
                while first < end:
                    record = consumer.poll(5)
                    assert record is not None, f"{name} stands still before {end}"
                    read.append(record)
                    first = (record.offset() or 0) + 1
        finally:
            consumer.close()
        return read


@contextmanager
def _keyboard(answer: str | None) -> Iterator[TextIO]:
    """Yield what a command reads its answers from: a terminal, where somebody answers."""
    if answer is None:
        with Path(os.devnull).open() as nobody:
            yield nobody
        return
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        with os.fdopen(theirs) as terminal:
            yield terminal
    finally:
        os.close(ours)


def _paper() -> io.TextIOWrapper:
    """Return what a command can write text and bytes on."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def _read(paper: io.TextIOWrapper) -> str:
    paper.seek(0)
    return paper.read()
