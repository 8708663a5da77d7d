"""Every error that cdc-sms raises on purpose.

::

    CdcSmsError(message, hint=…)
    ├── ConfigurationError        a setting is wrong or missing                          exit 2
    ├── ActRefused                a person's act could do harm as things stand            exit 2
    ├── SetupError                a right, table, topic, slot or setting is missing       exit 3
    ├── NeedsPerson               lost or foreign history, a changed mapping              exit 5
    ├── SourceError
    │   ├── SourceUnavailable     connect or read failed: wait, repeat                    exit 6
    │   ├── PositionLost          the slot was invalidated or is gone                     exit 5
    │   └── LogDecodeError        bytes not understood                                    exit 4
    ├── BrokerError
    │   ├── BrokerUnavailable     no broker answers: wait, repeat                         exit 6
    │   └── ProduceFailed         a record was refused for good
    ├── EnvelopeError             a record can't be decoded: dead-letter it byte for byte
    └── DatabaseError
        ├── DatabaseUnavailable   the connection failed: wait, repeat                     exit 6
        └── MappingError          a mapped table or column isn't there                    exit 3

There are three ways out and no fourth: ``*Unavailable`` is waited for and the same work is
repeated; :class:`EnvelopeError` becomes a dead letter; anything else needs a person, and the
role stops with message, hint and exit code. What a provider answers is never an exception but an
outcome, see ``model/outcome.py``.
"""

from typing import ClassVar


class CdcSmsError(Exception):
    """The base: a sentence that names the thing, and a remedy.

    Args:
        message: what is wrong, in one sentence; never a number, a text or a secret.
        hint: what to do about it, in one sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(CdcSmsError):
    """A setting is wrong or missing."""

    exit_code = 2


class ActRefused(CdcSmsError):  # noqa: N818 - a refusal, not a failure
    """A person's act is refused as things stand; nothing was changed."""

    exit_code = 2


class SetupError(CdcSmsError):
    """Something is missing or wrong on a server that was reached."""

    exit_code = 3


class NeedsPerson(CdcSmsError):  # noqa: N818 - a state of affairs, not an error of ours
    """Only a person can decide how to go on: lost or foreign history, a changed mapping."""

    exit_code = 5


class SourceError(CdcSmsError):
    """The database's log could not be read."""


class SourceUnavailable(SourceError):  # noqa: N818 - named for the state it reports
    """The log's server can't be reached or went away: wait and repeat."""

    exit_code = 6


class PositionLost(SourceError):  # noqa: N818 - named for the state it reports
    """The log no longer reaches back to our position: a snapshot heals it, or a person decides."""

    exit_code = 5


class LogDecodeError(SourceError):
    """Bytes of the log were not understood; says position and length, never content."""

    exit_code = 4


class BrokerError(CdcSmsError):
    """Kafka refused or failed."""


class BrokerUnavailable(BrokerError):  # noqa: N818 - named for the state it reports
    """No broker answers: wait and repeat."""

    exit_code = 6


class ProduceFailed(BrokerError):  # noqa: N818 - named for the state it reports
    """A record was not acknowledged and won't be by repeating it."""


class EnvelopeError(CdcSmsError):
    """A record can't be decoded; it is dead-lettered byte for byte."""


class DatabaseError(CdcSmsError):
    """The business database or the ledger in it refused or failed."""


class DatabaseUnavailable(DatabaseError):  # noqa: N818 - named for the state it reports
    """The database can't be reached or went away: wait and repeat the whole transaction."""

    exit_code = 6


class MappingError(DatabaseError):
    """The configuration maps a table or column that the database doesn't have."""

    exit_code = 3
