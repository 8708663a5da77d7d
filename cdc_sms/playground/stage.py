"""Everything that the demo's story plays on: servers, simulator, shop and the real roles."""

import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.model.state import State
from cdc_sms.playground.books import Books, Row
from cdc_sms.playground.configuration import ROLES, Servers, as_toml, sections
from cdc_sms.playground.debezium import Connect, debezium_captures
from cdc_sms.playground.provider import Simulator
from cdc_sms.playground.roles import Roles
from cdc_sms.playground.shop import Shop
from cdc_sms.playground.tally import Percentiles, commit_to_topic_s, is_at_rest
from cdc_sms.playground.watcher import SeenDeadLetter, Watcher

_ROWS_SHOWN = 10
_OPENED, _CLOSED = "breaker.opened", "breaker.closed"
_PROVIDER_KEY = "demo"
_LOOPBACK = "127.0.0.1"
_SEED = 1


@dataclass(frozen=True, slots=True)
class Glance:
    """What the flow looks like at one moment.

    Attributes:
        inserted: rows that the shop committed.
        states: how many messages are in each of the ledger's states.
        doubted: how many were ever in doubt.
        is_at_rest: whether every committed row is done, and its dead letter seen.
        is_breaker_open: by deliver's log.
        to_topic: from commit to the topic, so far.
        dead_letters: what lies on the dead-letter topic.
        rows: the shop's newest, the newest first.
    """

    inserted: int
    states: Mapping[str, int]
    doubted: int
    is_at_rest: bool
    is_breaker_open: bool
    to_topic: Percentiles
    dead_letters: Sequence[SeenDeadLetter]
    rows: Sequence[Row]

    @property
    def waiting(self) -> int:
        """Return how many rows have no final state yet."""
        return self.inserted - sum(n for s, n in self.states.items() if State(s).is_final)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything, started and ready.

    Attributes:
        configuration: the file that the roles read.
        password_file: the file with the database's password.
    """

    configuration: Path
    password_file: Path
    shop: Shop
    roles: Roles
    watcher: Watcher
    books: Books
    provider: Simulator

    def glance(self) -> Glance:
        """Look at everything once."""
        sales = tuple(self.shop.sales)
        entries = self.books.entries()
        letters = dict(self.watcher.dead_letters)
        return Glance(
            inserted=len(sales),
            states=Counter(entry.state for entry in entries),
            doubted=sum(entry.doubts > 0 for entry in entries),
            is_at_rest=is_at_rest(sales, entries, letters.keys()),
            is_breaker_open=self._breaker_events()[-1:] == [_OPENED],
            to_topic=Percentiles.of(commit_to_topic_s(sales, self.watcher.seen_at_s)),
            dead_letters=tuple(letters.values()),
            rows=self.books.newest_rows(_ROWS_SHOWN),
        )

    def times_opened(self) -> int:
        """Return how often a breaker opened, by deliver's log, over all its processes."""
        return self._breaker_events().count(_OPENED)

    def _breaker_events(self) -> Sequence[str]:
        return self.roles.events("deliver", {_OPENED, _CLOSED})


@contextmanager
def open_stage(
    folder: Path,
    logs: Path,
    servers: AbstractContextManager[Servers],
    connect: Connect | None = None,
) -> Iterator[Stage]:
    """Set everything up and start the roles; take all of it down again.

    Args:
        folder: an existing folder for the configuration and the password.
        logs: an existing folder for the processes' logs.
        servers: what it plays on, not entered yet.
        connect: where Debezium captures; None: the built-in reader does.

    Raises:
        CdcSmsError: a server or a command doesn't do its part; what had started is stopped.
    """
    with ExitStack() as stack:
        place = stack.enter_context(servers)
        provider = stack.enter_context(Simulator(key=_PROVIDER_KEY, balance=10**9))
        shop = stack.enter_context(Shop(place.dsn, password=place.password, seed=_SEED))
        shop.open()
        addresses = _free_addresses()
        tables = sections(place, provider_url=provider.url, addresses=addresses)
        configuration = _written(folder / "cdc-sms.toml", as_toml(tables))
        password_file = _written(folder / "password", place.password)
        roles = Roles(
            logs,
            configuration,
            {
                "CDC_SMS_SOURCE__PASSWORD_FILE": str(password_file),
                "CDC_SMS_PROVIDERS__JUSTSEND__KEY": _PROVIDER_KEY,
            },
        )
        roles.command("migrate")
        kafka = KafkaSettings.model_validate(place.kafka)
        if kafka.verify_topics:
            roles.command("topics")
        books = stack.enter_context(Books(place.dsn, password=place.password))
        watcher = stack.enter_context(Watcher(kafka))
        if connect is not None:
            stack.enter_context(
                debezium_captures(
                    connect, place, configuration=configuration, environment=roles.environment
                )
            )
        stack.enter_context(roles)
        started = [role for role in ROLES if connect is None or role != "capture"]
        for role in started:
            roles.start(role)
        for role in started:
            roles.await_ready(role, addresses[role])
        yield Stage(
            configuration=configuration,
            password_file=password_file,
            shop=shop,
            roles=roles,
            watcher=watcher,
            books=books,
            provider=provider,
        )


def _written(file: Path, content: str) -> Path:
    """Write a file that only we may read."""
    file.touch(mode=0o600)
    file.write_text(content, encoding="utf-8")
    return file


def _free_addresses() -> Mapping[str, str]:
    with ExitStack() as stack:
        probes = {role: stack.enter_context(socket.socket()) for role in ROLES}
        for probe in probes.values():
            probe.bind((_LOOPBACK, 0))
        return {role: f"{_LOOPBACK}:{probe.getsockname()[1]}" for role, probe in probes.items()}
