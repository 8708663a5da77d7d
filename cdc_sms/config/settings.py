"""Every setting once: its name, type, default, unit and help text.

The reference page is generated from here. Sections are frozen; nothing outside
``config/load.py`` reads a file or the environment.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from cdc_sms.config import mysql_dsn


class Section(BaseModel):
    """A section of the configuration file: frozen, and an unknown key in it is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Word = Annotated[str, Field(min_length=1), Field(coerce_numbers_to_str=True)]


def _flat(table: dict[str, object]) -> dict[str, object]:
    """Return a table of tables as one, with names joined by dots."""
    flat: dict[str, object] = {}
    for name, value in table.items():
        inner = _flat(value) if isinstance(value, dict) else {"": value}
        flat |= {f"{name}.{rest}" if rest else name: leaf for rest, leaf in inner.items()}
    return flat


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65_536) or "//" in value:
        raise ValueError("an address has the form host:port, for example 127.0.0.1:8080")
    return value


def _role_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("a role's address has the form http://host:port")
    return value.rstrip("/")


Kind = Literal["postgres", "mysql", "mariadb"]

SCHEMES: Mapping[str, Kind] = {
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mariadb",
}
"""A DSN's scheme, and the kind of database that it means."""


def _dsn(value: str) -> str:
    parts = urlsplit(value)
    kind = SCHEMES.get(parts.scheme)
    if kind is None:
        raise ValueError(
            "it must have the form postgresql://user@host:5432/database, "
            "mysql://user@host:3306/database or mariadb://user@host:3306/database"
        )
    query = parse_qs(parts.query)
    if not parts.path.strip("/") and not (kind == "postgres" and "dbname" in query):
        raise ValueError(f"it names no database: {parts.scheme}://user@host/database")
    if parts.password is not None or "password" in query:
        raise ValueError(
            "no password may stand in it: "
            "set CDC_SMS_SOURCE__PASSWORD, or let CDC_SMS_SOURCE__PASSWORD_FILE name its file"
        )
    if kind != "postgres":
        mysql_dsn.parse(value)
    return value


Address = Annotated[str, AfterValidator(_address)]
RoleUrl = Annotated[str, AfterValidator(_role_url)]
Dsn = Annotated[str, AfterValidator(_dsn)]


class SourceSettings(Section):
    """``[source]``: the business database."""

    type: Literal["postgres", "mysql", "mariadb"] | None = Field(
        None, description="The database's kind; left out: what the DSN begins with."
    )
    dsn: Dsn = Field(
        description=(
            "Where it is: `postgresql://user@host:5432/database`, with any libpq option as a "
            "query parameter (`?sslmode=verify-full`), or `mysql://user@host:3306/database`, "
            "`mariadb://…` with `ssl_mode`, `ssl_ca`, `ssl_cert`, `ssl_key` or `unix_socket`. No "
            "password in it."
        )
    )
    password: SecretStr | None = Field(
        None,
        description=(
            "The user's password: from `CDC_SMS_SOURCE__PASSWORD`, or from the file that "
            "`CDC_SMS_SOURCE__PASSWORD_FILE` names. Libpq's own ways (`.pgpass`, `PGPASSWORD`) "
            "work as well."
        ),
    )

    @model_validator(mode="after")
    def _type_is_the_dsns(self) -> "SourceSettings":
        if self.type is not None and self.type != self.kind:
            raise ValueError(f"type is {self.type}, and the DSN names a {self.kind} database")
        return self

    @property
    def kind(self) -> Kind:
        """Return the database's kind."""
        return SCHEMES[urlsplit(self.dsn).scheme]

    @property
    def database(self) -> str:
        """Return the database's name."""
        parts = urlsplit(self.dsn)
        named = parse_qs(parts.query).get("dbname", [""])[0]
        return unquote(parts.path.strip("/")) or named

    @property
    def default_schema(self) -> str:
        """Return the schema of names without one; on MySQL and MariaDB that is the database."""
        return "public" if self.kind == "postgres" else self.database


class ColumnSettings(Section):
    """``[table.columns]``: which column holds what; only these are read, only some written."""

    key: tuple[str, ...] = Field(
        min_length=1,
        description="The primary key's column, or a list of them in the key's order.",
    )
    recipient: str = Field(description="Read: the telephone number, in any usual form.")
    text: str = Field(description="Read: the message's text.")
    sender: str | None = Field(None, description="Read: the sender's name; empty: the provider's.")
    status: str | None = Field(
        None, description="Read and written: the status word; without it the table is only read."
    )
    created_at: str | None = Field(
        None,
        description=(
            "Read: a time that an INSERT sets and nothing changes. With the key it says which "
            "message a row is; without it a key must never be used again."
        ),
    )
    send_after: str | None = Field(None, description="Read: not to be sent before this time.")
    expires_at: str | None = Field(None, description="Read: not to be sent after this time.")
    provider_message_id: str | None = Field(None, description="Written: the provider's id.")
    sent_at: str | None = Field(None, description="Written: when the provider accepted it.")
    error_text: str | None = Field(None, description="Written: why it failed, for a person.")
    attempts: str | None = Field(None, description="Written: how often it was tried.")

    @model_validator(mode="before")
    @classmethod
    def _one_key_column_is_a_list_of_one(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("key"), str):
            return {**value, "key": tuple(part.strip() for part in value["key"].split(","))}
        return value

    @model_validator(mode="after")
    def _written_columns_are_no_key(self) -> "ColumnSettings":
        written = {
            name: getattr(self, name)
            for name in ("status", "provider_message_id", "sent_at", "error_text", "attempts")
            if getattr(self, name) is not None
        }
        for name, column in written.items():
            if column in self.key or column == self.created_at:
                raise ValueError(
                    f"{name} is written and can't be a column that says which message a row is"
                )
        if self.status is None and written:
            raise ValueError(
                "a table without a status column is never written: "
                f"map status, or leave out {', '.join(sorted(written))}"
            )
        columns = [*self.key, *(v for k, v in self.model_dump().items() if k != "key" and v)]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise ValueError(f"mapped twice: {', '.join(twice)}")
        return self


class StatusSettings(Section):
    """``[table.status]``: the words of the status column; numbers are words too."""

    pending: Word = Field("pending", description="The word of a row that is to be sent.")
    sending: Word | None = Field(
        None, description="Written while a request is under way; left out: not written."
    )
    sent: Word = Field("sent", description="Written when the provider accepted the message.")
    failed: Word = Field("failed", description="Written when it was given up.")
    expired: Word | None = Field(
        None, description="Written when its time ran out; left out: the word of `failed`."
    )

    @model_validator(mode="after")
    def _words_differ(self) -> "StatusSettings":
        words = [self.pending, self.sent, self.failed, *filter(None, [self.sending])]
        taken = {self.pending, self.sent, *filter(None, [self.sending])}
        if len(set(words)) < len(words) or self.expired in taken:
            raise ValueError("each status needs a word of its own (only expired may equal failed)")
        return self


class TableSettings(Section):
    """``[table]``: the table that the business software inserts into."""

    name: str = Field(
        description=(
            "Its name, with the schema where it isn't `public`; on MySQL and MariaDB with the "
            "database where it isn't the DSN's."
        )
    )
    time_zone: str = Field(
        "UTC", description="The zone of its times without one, for example `Europe/Warsaw`."
    )
    columns: ColumnSettings
    status: StatusSettings = StatusSettings()
    _default_schema: str = PrivateAttr("public")

    @property
    def schema_and_table(self) -> tuple[str, str]:
        """Return the schema (on MySQL and MariaDB the database) and the table's bare name."""
        schema, dot, table = self.name.partition(".")
        return (schema, table) if dot else (self._default_schema, schema)


class LedgerSettings(Section):
    """``[ledger]``: the tables that cdc-sms keeps beside the business table."""

    schema_name: str | None = Field(
        None,
        description=(
            "The schema that `cdc-sms migrate` makes its tables in; left out: `public`, on MySQL "
            "and MariaDB the DSN's database."
        ),
    )
    environment: str = Field(
        "production",
        pattern=r"^[A-Za-z0-9._-]{1,50}$",
        description="What this installation is: a copy of its database is refused elsewhere.",
    )
    lock_timeout_s: Seconds = Field(
        1.0, description="How long a statement waits for a lock before the row is owed; seconds."
    )
    _default_schema: str = PrivateAttr("public")

    @property
    def ledger_schema(self) -> str:
        """Return the schema, on MySQL and MariaDB the database, of the ledger's tables."""
        return self.schema_name or self._default_schema


class KafkaSettings(Section):
    """``[kafka]``: the broker, its topics, and any setting of its client library."""

    bootstrap_servers: str = Field(
        description="`host:port` of one or more brokers, separated by commas."
    )
    prefix: str = Field(
        "cdc-sms", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="What its topics start with."
    )
    partitions: int = Field(
        12, ge=1, le=1000, description="Partitions of the outbox: the most members that can share."
    )
    replication_factor: int = Field(
        -1, ge=-1, description="Replicas of each topic; -1: the broker's own default."
    )
    verify_topics: bool = Field(
        True, description="Check the topics' settings at start; off only for brokers without it."
    )
    group_id: str | None = Field(
        None, description="The consumer group; default `<prefix>.deliver`."
    )
    group_protocol: Literal["auto", "consumer", "classic"] = Field(
        "auto",
        description="`consumer` is KIP-848, `classic` the older one, `auto` what the broker has.",
    )
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How to connect."
    )
    ssl_ca_location: str | None = Field(None, description="File of the CA that signed the broker.")
    sasl_mechanism: str | None = Field(
        None, description="How we prove who we are: `PLAIN`, `SCRAM-SHA-512` and others."
    )
    sasl_username: str | None = Field(None, description="The user's name for SASL.")
    sasl_password: SecretStr | None = Field(
        None, description="Its password: environment or `…_FILE` only."
    )
    librdkafka: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Any setting of librdkafka, by its own name."
    )

    @field_validator("librdkafka", mode="before")
    @classmethod
    def _dots_need_no_quotes(cls, value: object) -> object:
        """Read ``linger.ms = 5``, which TOML takes for a table in a table, as it is meant."""
        return _flat(value) if isinstance(value, dict) else value

    @property
    def outbox(self) -> str:
        """Return the topic of change events."""
        return f"{self.prefix}.outbox"

    @property
    def heartbeat(self) -> str:
        """Return the name of the topic of heartbeats."""
        return f"{self.prefix}.heartbeat"

    @property
    def dlq(self) -> str:
        """Return the topic of dead letters."""
        return f"{self.prefix}.dlq"

    @property
    def positions(self) -> str:
        """Return the topic of positions in the logs of MySQL and MariaDB."""
        return f"{self.prefix}.positions"

    @property
    def deliver_group(self) -> str:
        """Return the consumer group's id."""
        return self.group_id or f"{self.prefix}.deliver"


class CaptureSettings(Section):
    """``[capture]``: who reads the log, and how."""

    reader: Literal["builtin", "debezium"] = Field(
        "builtin",
        description="`debezium`: a connector on Kafka Connect captures; `run` starts no capture.",
    )
    slot: str = Field(
        "cdc_sms",
        pattern=r"^[a-z0-9_]{1,63}$",
        description=(
            "The replication slot's name; on MySQL and MariaDB the name of the reader's position "
            "and of its lock."
        ),
    )
    publication: str = Field(
        "cdc_sms", pattern=r"^[a-z0-9_]{1,63}$", description="PostgreSQL: the publication's name."
    )
    server_id: int | None = Field(
        None,
        ge=1,
        le=4_294_967_295,
        description=(
            "MySQL and MariaDB: the replication id of the reader, which no other server or reader "
            "may have; left out: one of its own, by name and host."
        ),
    )
    becomes_pending: bool = Field(
        False,
        description="Rows that an UPDATE sets to pending are captured as well as inserted ones. "
        "To replace a row that is there (REPLACE, INSERT … ON DUPLICATE KEY UPDATE, INSERT … ON "
        "CONFLICT DO UPDATE) is an UPDATE.",
    )
    max_record_bytes: int = Field(
        4_128_768,
        ge=10_000,
        description="A larger record is produced with its key and what fits; bytes.",
    )
    heartbeat_s: Seconds = Field(
        10.0,
        le=10,
        description="How often a heartbeat goes through the log to its topic; seconds.",
    )
    address: Address = Field(
        "127.0.0.1:8081", description="Where this role answers health, status and metrics."
    )


class DeliverSettings(Section):
    """``[deliver]``: the consumer group that sends."""

    providers: tuple[str, ...] = Field(
        ("justsend",), min_length=1, max_length=1, description="The provider to send through."
    )
    senders: int = Field(
        16,
        ge=1,
        le=256,
        description="Requests in flight at most: also the most that a crash leaves in doubt.",
    )
    request_deadline_s: Seconds = Field(
        30.0, description="The total time of one request, connecting included; seconds."
    )
    lease_s: Seconds = Field(
        90.0,
        description="How long a claim holds; seconds, at least one and a half times the deadline.",
    )
    lease_grace_s: Seconds = Field(
        30.0, description="What is added before a claim that ran out is called in doubt; seconds."
    )
    shutdown_grace_s: Seconds = Field(
        40.0, description="How long a stop waits for what is in flight; seconds."
    )
    max_attempts: int = Field(8, ge=1, le=100, description="Attempts before it is dead-lettered.")
    first_retry_s: Seconds = Field(5.0, description="The pause after the first failure; seconds.")
    longest_retry_s: Seconds = Field(900.0, description="The longest pause; seconds.")
    doubt: Literal["resend", "hold"] = Field(
        "resend",
        description="What is done once about a message in doubt; `hold`: a person decides.",
    )
    doubt_pause_s: Seconds = Field(
        60.0, description="How long a message in doubt waits before it is sent again; seconds."
    )
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that open the breaker.")
    breaker_pause_s: Seconds = Field(
        30.0, description="How long the breaker stays open before a probe; seconds."
    )
    keeper_s: Seconds = Field(
        15.0, description="How often the keeper looks at the ledger for what is overdue; seconds."
    )
    overdue_s: Seconds = Field(
        300.0, description="How long after its due time a message is emitted again; seconds."
    )
    messages_per_s: float | None = Field(
        None,
        gt=0,
        description="The most messages a second, for the whole group; left out: no limit.",
    )
    flood_after: int = Field(
        100, ge=1, description="Dead letters in a row, over all members, that pause the flow."
    )
    backlog_messages: int = Field(
        100,
        ge=0,
        description="Rows that were pending before the first start and are sent unasked.",
    )
    backlog_age_s: Seconds = Field(
        86_400.0,
        description="A row this much older than the first start holds the backlog; seconds.",
    )
    region: str = Field(
        "PL", pattern=r"^[A-Z]{2}$", description="The country of numbers without a prefix."
    )
    max_open_records: int = Field(
        1000, ge=10, description="Unfinished records a partition before it is paused."
    )
    address: Address = Field(
        "127.0.0.1:8082", description="Where this role answers health, status and metrics."
    )

    @model_validator(mode="after")
    def _times_fit(self) -> "DeliverSettings":
        if self.lease_s < self.request_deadline_s * 1.5:
            raise ValueError("lease_s must be at least one and a half times request_deadline_s")
        if self.shutdown_grace_s <= self.request_deadline_s:
            raise ValueError("shutdown_grace_s must be longer than request_deadline_s")
        return self


class ProviderSettings(Section):
    """``[providers.<name>]``: one account at a provider."""

    type: Literal["justsend"] = Field("justsend", description="The provider's kind.")
    url: str = Field(
        "https://justsend.pl/api/rest", pattern=r"^https?://", description="The API's base address."
    )
    key: SecretStr | None = Field(
        None,
        description=(
            "The `App-Key`: from `CDC_SMS_PROVIDERS__<NAME>__KEY`, or from the file that "
            "`…__KEY_FILE` names, which is read again when it changes."
        ),
    )
    key_file: str | None = Field(None, description="The file that holds the key.")
    sender: str | None = Field(
        None, description="The sender's name for rows that name none; at most 11 characters."
    )
    variant: Literal["ECO", "FULL", "PRO", "ECO_RESP", "PRO_RESP", "DV", "TEST"] = Field(
        "PRO", description="The `bulkVariant`."
    )
    submit: Literal["single"] = Field("single", description="How a message is handed over.")
    double_encode: bool | None = Field(
        None, description="`doubleEncode` of the request; left out: not sent."
    )
    connect_timeout_s: Seconds = Field(5.0, description="Time to connect; seconds.")
    max_segments: int = Field(
        6, ge=1, le=255, description="A longer text is refused before it is sent; SMS segments."
    )
    limit_pause_s: Seconds = Field(
        60.0, description="How long LIMIT_EXCEEDED without a Retry-After pauses; seconds."
    )
    classes: dict[str, Literal["transient", "permanent", "account", "in_doubt"]] = Field(
        default_factory=dict, description='Another class for a response code: `CODE = "class"`.'
    )

    @model_validator(mode="after")
    def _one_key(self) -> "ProviderSettings":
        if self.key is not None and self.key_file is not None:
            raise ValueError("key and key_file are both set: leave one of them out")
        return self


class ServeSettings(Section):
    """``[serve]``: the HTTP side."""

    address: Address = Field("127.0.0.1:8080", description="Where `serve` answers.")
    roles: tuple[RoleUrl, ...] = Field(
        ("http://127.0.0.1:8081", "http://127.0.0.1:8082"),
        description="The other roles' addresses, which `status` asks.",
    )


class LoggingSettings(Section):
    """``[logging]``: what is said, and in which form."""

    format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto`: readable lines on a terminal, JSON lines elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is told; each level includes those after it."
    )


class Sections(Section):
    """The whole configuration."""

    source: SourceSettings
    table: TableSettings
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    kafka: KafkaSettings
    capture: CaptureSettings = CaptureSettings()
    deliver: DeliverSettings = DeliverSettings()
    providers: dict[str, ProviderSettings] = Field(min_length=1)
    serve: ServeSettings = ServeSettings()
    logging: LoggingSettings = LoggingSettings()

    @field_validator("providers", mode="after")
    @classmethod
    def _names_fit_a_variable(
        cls, value: dict[str, ProviderSettings]
    ) -> dict[str, ProviderSettings]:
        for name in value:
            if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
                raise ValueError(
                    f"the provider's name {name!r} must be of small letters and digits "
                    "(single _ between them), so that a variable can name it"
                )
        return value

    @model_validator(mode="after")
    def _names_without_a_schema_have_the_sources(self) -> "Sections":
        self.table._default_schema = self.source.default_schema  # noqa: SLF001 - same file
        self.ledger._default_schema = self.source.default_schema  # noqa: SLF001 - same file
        return self

    @model_validator(mode="after")
    def _providers_exist(self) -> "Sections":
        for name in self.deliver.providers:
            if name not in self.providers:
                raise ValueError(f"deliver.providers names {name!r}: add [providers.{name}]")
        return self
