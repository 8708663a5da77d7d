"""The shop and the books on the three databases: what is written is what is remembered."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, select
from support.servers.mysql import MysqlAddress
from support.servers.postgres import PostgresAddress

from cdc_sms.playground.books import Books
from cdc_sms.playground.database import create_database, drop_database, open_engine
from cdc_sms.playground.real import without_password
from cdc_sms.playground.shop import SMS, Shop


@dataclass(frozen=True)
class Place:
    """A database of the shop's own."""

    dsn: str
    password: str


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    server: PostgresAddress | MysqlAddress = request.getfixturevalue(f"{request.param}_server")
    name = f"shop_{secrets.token_hex(4)}"
    dsn, password = without_password(server.dsn, database=name)
    create_database(server.dsn, password, name)
    yield Place(dsn, password)
    drop_database(server.dsn, password, name)


@pytest.fixture
def connection(place: Place) -> Iterator[Connection]:
    engine = open_engine(place.dsn, place.password)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def in_utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_shop_remembers_exactly_the_rows_that_it_committed(
    place: Place, connection: Connection
) -> None:
    with Shop(place.dsn, password=place.password, seed=1) as shop:
        shop.open()
        batches = [len(batch) for batch in shop.sell(100, wrong=3)]
    rows = connection.execute(select(SMS.c.id, SMS.c.recipient, SMS.c.body).order_by(SMS.c.id))

    assert [tuple(row) for row in rows] == [
        (sale.key, sale.order.recipient, sale.order.body) for sale in shop.sales
    ]
    assert len(shop.sales) == 100
    assert sum(sale.order.reaches is None for sale in shop.sales) == 3
    assert min(batches) == 1 < max(batches)


def test_shop_remembers_when_a_row_is_due(place: Place, connection: Connection) -> None:
    with Shop(place.dsn, password=place.password, seed=1) as shop:
        shop.open()
        for _ in shop.sell(60):
            pass
    due = connection.execute(select(SMS.c.id, SMS.c.send_after).order_by(SMS.c.id)).all()

    assert [(sale.key, in_utc(sale.due_at_s)) for sale in shop.sales if sale.order.later_s] == [
        (key, send_after.replace(tzinfo=UTC)) for key, send_after in due if send_after is not None
    ]


def test_books_show_the_newest_rows_and_the_last_that_failed(
    place: Place, connection: Connection
) -> None:
    with Shop(place.dsn, password=place.password, seed=1) as shop:
        shop.open()
        for _ in shop.sell(20):
            pass
    failed = [shop.sales[at].key for at in (0, 3, 5)]
    with connection.begin():
        connection.execute(SMS.update().where(SMS.c.id.in_(failed)).values(status="failed"))

    with Books(place.dsn, password=place.password) as books:
        rows = books.newest_rows(4)

    newest = [sale.key for sale in shop.sales[:-5:-1]]
    assert [row.key for row in rows] == [*newest, *failed[:0:-1]]
    assert [row.status for row in rows] == ["pending"] * 4 + ["failed"] * 2
