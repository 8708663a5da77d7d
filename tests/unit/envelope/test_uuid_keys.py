import json

import pytest

from cdc_sms.envelope.row_key import RowKey, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.encodings import ColumnKind, KeyColumn

SHIFTED = "0000123e-4567-e89b-12d3-a45642665544"
WHOLE = "123e4567-e89b-12d3-a456-426655440000"


def read(uuid: str, *, source: dict[str, str] | None, on_postgres: bool = False) -> object:
    keys = RowKeys("sms", [KeyColumn("id", ColumnKind.UUID)], "status", "pending", on_postgres)
    row = {"id": uuid, "status": "pending"}
    value = (
        {**row, "__op": "c", "__source_txId": 7}
        if source is None
        else {"before": None, "after": row, "source": {**source, "txId": 7}, "op": "c"}
    )
    return keys.read(json.dumps({"id": uuid}).encode(), json.dumps(value).encode(), [])


DEBEZIUM = {"connector": "mariadb", "version": "3.5.0.Final"}
OURS = {"connector": "mariadb", "version": "0.1.0"}


@pytest.mark.parametrize("source", [DEBEZIUM, None], ids=["enveloped", "unwrapped"])
def test_a_uuid_that_debezium_may_have_shifted_is_refused(source: dict[str, str] | None) -> None:
    with pytest.raises(EnvelopeError, match="zero byte"):
        read(SHIFTED, source=source)


@pytest.mark.parametrize(
    ("uuid", "source", "on_postgres"),
    [
        (WHOLE, DEBEZIUM, False),
        (SHIFTED, OURS, False),
        (SHIFTED, {"connector": "sqlserver", "version": "3.6.1.Final"}, False),
        (SHIFTED, {"connector": "postgresql", "version": "3.6.1.Final"}, True),
        (SHIFTED, None, True),
    ],
    ids=["whole", "our reader's", "SQL Server's", "PostgreSQL's", "PostgreSQL's, unwrapped"],
)
def test_any_other_uuid_is_a_key(
    uuid: str, source: dict[str, str] | None, on_postgres: bool
) -> None:
    found = read(uuid, source=source, on_postgres=on_postgres)

    assert isinstance(found, RowKey)
    assert [str(value) for value in found.key] == [uuid]
