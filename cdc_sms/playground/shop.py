"""A small shop that writes to its SMS table the way business software does, and remembers what.

It knows nothing of cdc-sms: it inserts rows and commits. What it remembers of each row is what
the demo's count is held against.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    text,
)
from sqlalchemy.dialects.mysql import TIMESTAMP

from cdc_sms.playground.database import open_engine

TABLE = "sms"

_TIME = DateTime(timezone=True).with_variant(TIMESTAMP(fsp=6), "mysql")
SMS = Table(
    TABLE,
    MetaData(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("recipient", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("sender", String(64)),
    Column("status", String(20), nullable=False, server_default="pending"),
    Column("created_at", _TIME, nullable=False, server_default=text("CURRENT_TIMESTAMP(6)")),
    Column("send_after", _TIME),
    Column("provider_id", String(64)),
    Column("sent_at", _TIME),
    Column("error", Text),
    Column("attempts", Integer),
    mysql_charset="utf8mb4",
)
"""The shop's table, as each kind of database makes it."""

_TEXTS = (
    "Your parcel {order} arrives today between 12 and 16.",
    "Zamówienie {order} czeka na odbiór. Prosimy o wizytę do piątku, dziękujemy!",
    "Your code for order {order} is {code}. Don't tell it to anyone.",
    "Przypominamy o wizycie nr {order} jutro o 9:30. Odwołanie: odpowiedz NIE.",
    (
        "Order {order} was paid, thank you. We pack it now and write again as soon as the courier "
        "has it; the number at the courier's will be {code}. If something is not as it should "
        "be, write back to this number or come by, we are there on weekdays from 8 to 18."
    ),
    "Rachunek {order}: 128,40 €, płatny w ciągu 14 dni. [https://example.com/{code}]",
)
_WRONG_NUMBERS = ("+48 123", "not known", "+48 22 000", "000000000")
_SENDERS = (None, None, None, "Sklep")
_BATCH_EVERY = 5
_LARGEST_BATCH = 12
_LATER_EVERY = 25
_LATEST_S = 3.0
_FIRST_NUMBER = 600_100_000


@dataclass(frozen=True, slots=True)
class Order:
    """A row before it is inserted.

    Attributes:
        recipient: as people write numbers.
        reaches: the number that is meant, in E.164 without the plus, another one in every
            order; None: the recipient is no number, so that the message has to fail.
        later_s: how long after the insert it may be sent; None: at once.
    """

    recipient: str
    reaches: str | None
    body: str
    sender: str | None
    later_s: float | None


@dataclass(frozen=True, slots=True)
class Sale:
    """A row that is committed.

    Attributes:
        key: the row's primary key.
        committed_at_s: the wall clock right after COMMIT had returned, seconds.
        due_at_s: when it may be sent; the same, unless it said a later time.
    """

    key: int
    order: Order
    committed_at_s: float
    due_at_s: float


def orders(random_source: random.Random) -> Iterator[Order]:
    """Return orders without end: with Polish letters, long ones, some for a bit later."""
    number = 0
    while True:
        number += 1
        words = _TEXTS[number % len(_TEXTS)]
        later = number % _LATER_EVERY == 0
        yield Order(
            recipient=_written(_FIRST_NUMBER + number, random_source),
            reaches=f"48{_FIRST_NUMBER + number}",
            body=words.format(order=7000 + number, code=random_source.randrange(10**6)),
            sender=random_source.choice(_SENDERS),
            later_s=random_source.uniform(1.0, _LATEST_S) if later else None,
        )


def mistyped(order: Order, random_source: random.Random) -> Order:
    """Return the order with a recipient that is no telephone number."""
    return replace(
        order, recipient=random_source.choice(_WRONG_NUMBERS), reaches=None, later_s=None
    )


def _written(number: int, random_source: random.Random) -> str:
    digits = str(number)
    spaced = f"{digits[:3]} {digits[3:6]} {digits[6:]}"
    return random_source.choice((digits, spaced, f"+48{digits}", f"0048 {spaced}"))


class Shop:
    """The shop's connection to its database, and every row that it committed.

    Thread: any one at a time; ``sales`` may be read by others meanwhile.

    Attributes:
        sales: what was committed, in that order.
    """

    def __init__(self, dsn: str, *, password: str, seed: int) -> None:
        """Connect.

        Args:
            dsn: the database's address.
            password: its user's.
            seed: the same seed writes the same rows.
        """
        self.sales: list[Sale] = []
        self._random = random.Random(seed)  # noqa: S311 - texts and pauses, no secrets
        self._orders = orders(self._random)
        self._engine = open_engine(dsn, password)
        self._connection = self._engine.connect()

    def open(self) -> None:
        """Make the shop's table."""
        with self._connection.begin():
            SMS.create(self._connection)

    def sell(self, count: int, *, wrong: int = 0) -> Iterator[Sequence[Sale]]:
        """Insert rows, one transaction at each step: mostly of one row, some of several.

        Args:
            count: how many rows in all.
            wrong: how many of them have a number that is none.

        Yields:
            What the step's transaction committed.
        """
        wanted = [next(self._orders) for _ in range(count)]
        for place in self._random.sample(range(count), wrong):
            wanted[place] = mistyped(wanted[place], self._random)
        transactions = 0
        while wanted:
            transactions += 1
            batch = transactions % _BATCH_EVERY == 0
            size = self._random.randint(2, _LARGEST_BATCH) if batch else 1
            yield self._insert(wanted[:size])
            wanted = wanted[size:]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Return the shop."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

    def _insert(self, batch: Sequence[Order]) -> list[Sale]:
        started_at = datetime.now(UTC)
        due = [
            None if order.later_s is None else started_at + timedelta(seconds=order.later_s)
            for order in batch
        ]
        keys: list[int] = []
        with self._connection.begin():
            for order, due_at in zip(batch, due, strict=True):
                row = {
                    "recipient": order.recipient,
                    "body": order.body,
                    "sender": order.sender,
                    "send_after": due_at,
                }
                inserted = self._connection.execute(insert(SMS).values(row))
                keys.extend(inserted.inserted_primary_key or ())
        committed_at_s = time.time()
        sales = [
            Sale(key, order, committed_at_s, due_at.timestamp() if due_at else committed_at_s)
            for key, order, due_at in zip(keys, batch, due, strict=True)
        ]
        self.sales.extend(sales)
        return sales
