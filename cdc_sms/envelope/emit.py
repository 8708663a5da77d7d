"""A record that brings a known message back to the outbox: look at the row with this key. Pure."""

import orjson

from cdc_sms.model.delivery import Delivery


def emitted(message: Delivery) -> tuple[bytes, bytes] | None:
    """Return key and value of a snapshot record that holds no more than the row's key.

    The key's bytes are those that the message was first seen by, so that the record lies on
    the same partition.

    Returns:
        None where the ledger never saw a record of it.
    """
    if message.record_key is None:
        return None
    key = orjson.loads(message.record_key)
    columns = key["payload"] if key.keys() == {"schema", "payload"} else key
    return message.record_key, orjson.dumps({"before": None, "after": columns, "op": "r"})
