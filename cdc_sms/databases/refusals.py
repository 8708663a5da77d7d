"""What a database did with a statement, where that is no error of ours but something to act on."""

from cdc_sms.errors import DatabaseError, DatabaseUnavailable


class RowRefused(DatabaseError):  # noqa: N818 - what the database did, not an error of ours
    """A statement on business rows was refused: lock time-out, trigger, constraint, type."""


class LockTimeout(RowRefused, DatabaseUnavailable):
    """Someone else held a lock for longer than we wait: the row refused; repeat it later."""


class RepeatTransaction(DatabaseError):  # noqa: N818 - what is to be done
    """Deadlock or serialization failure: the whole transaction is to be repeated."""
