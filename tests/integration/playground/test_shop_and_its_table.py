from collections.abc import Iterator

import psycopg
import pytest

from cdc_sms.playground.folder import temporary_folder
from cdc_sms.playground.postgres import EmbeddedPostgres
from cdc_sms.playground.shop import Shop


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with temporary_folder() as above:
        folder = above / "postgres"
        folder.mkdir()
        with EmbeddedPostgres(folder) as server:
            yield server


def test_shop_remembers_exactly_the_rows_that_it_committed(server: EmbeddedPostgres) -> None:
    with Shop(server.dsn, password=server.password, seed=1) as shop:
        shop.open()
        batches = [len(batch) for batch in shop.sell(100, wrong=3)]

        with psycopg.connect(server.dsn, password=server.password) as connection:
            rows = connection.execute("SELECT id, recipient, body FROM sms ORDER BY id").fetchall()

    assert rows == [(sale.key, sale.order.recipient, sale.order.body) for sale in shop.sales]
    assert len(rows) == 100
    assert sum(sale.order.reaches is None for sale in shop.sales) == 3
    assert min(batches) == 1 < max(batches)


def test_shop_remembers_when_a_row_is_due(server: EmbeddedPostgres) -> None:
    with Shop(server.dsn, password=server.password, seed=1) as shop:
        shop.open()
        for _ in shop.sell(60):
            pass

        with psycopg.connect(server.dsn, password=server.password) as connection:
            due = connection.execute("SELECT id, send_after FROM sms ORDER BY id").fetchall()

    assert [(sale.key, sale.due_at_s) for sale in shop.sales if sale.order.later_s] == [
        (key, send_after.timestamp()) for key, send_after in due if send_after is not None
    ]
