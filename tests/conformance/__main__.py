"""The command behind ``scripts/conformance``."""

import argparse
import json
import secrets
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pymysql
import requests
from confluent_kafka import KafkaException
from sqlalchemy.exc import SAWarning
from support.fixtures.binlog_databases import fresh_binlog_database
from support.fixtures.databases import fresh_database
from support.fixtures.servers import elsewhere
from support.servers.connect import CONNECT
from support.servers.kafka import KAFKA, KafkaAddress
from support.servers.machine import ServerUnavailableError, say
from support.servers.mariadb import MARIADB, MARIADB118
from support.servers.mysql import MYSQL, MysqlAddress
from support.servers.postgres import POSTGRES, POSTGRES18, PostgresAddress
from support.servers.server import Server
from support.waiting import GaveUpError

from cdc_sms.errors import CdcSmsError
from conformance.binlog import Binlog, databases_of
from conformance.compare import ALLOWED
from conformance.database import Database, StatementError
from conformance.postgres import Postgres
from conformance.run import Found, Run
from conformance.site import Connector, DebeziumStoppedError, Topic, topics
from conformance.statements import Statement, split

A = TypeVar("A")
USAGE, UNAVAILABLE, FOUND = 2, 3, 10
CORPUS = Path(__file__).parent / "corpus"
FILES: Mapping[str, Sequence[str]] = {
    "postgres": ("postgres.sql", "postgres-contrib.sql"),
    "postgres18": ("postgres.sql", "postgres18.sql"),
    "mysql": ("mysql.sql",),
    "mariadb": ("mariadb.sql",),
    "mariadb118": ("mariadb.sql", "mariadb118.sql"),
}
"""Our own corpus, by server."""


def main(arguments: Sequence[str]) -> int:
    """Run the file; return the exit code."""
    options = _parser().parse_args(arguments)
    names = FILES[options.server or options.source]
    try:
        paths = [options.sql] if options.sql else [CORPUS / name for name in names]
        text = "\n".join(path.read_text(encoding="utf-8-sig") for path in paths)
    except (OSError, UnicodeDecodeError) as error:
        say(f"conformance: {error}")
        return USAGE
    statements = list(split(text, mysql=options.source != "postgres"))
    warnings.simplefilter("ignore", SAWarning)  # of types that it doesn't know, in any column
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed
    try:
        with _running(options, statements) as run:
            run.statements(statements)
            found = run.compare()
    except ServerUnavailableError as error:
        say(str(error))
        return UNAVAILABLE
    except _LOST as error:
        say(f"conformance: a server was lost: {error}")
        return UNAVAILABLE
    except StatementError as error:
        say(f"conformance: {error}")
        return USAGE
    except DebeziumStoppedError as error:
        say(f"conformance: Debezium stopped: {error}")
        return FOUND
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    _tell(found, options)
    return FOUND if found.differences else 0


@contextmanager
def _running(options: argparse.Namespace, statements: Sequence[Statement]) -> Iterator[Run]:
    with ExitStack() as stack:
        try:
            run = _opened(options, statements, stack)
        except _NOT_TO_BE_HAD as error:
            raise ServerUnavailableError(f"conformance can't begin: {error}") from error
        yield run


_LOST = (
    psycopg.OperationalError,
    pymysql.err.OperationalError,
    requests.ConnectionError,
    KafkaException,
)
_NOT_TO_BE_HAD = (
    *_LOST,
    CdcSmsError,
    DebeziumStoppedError,
    GaveUpError,
)


def _opened(options: argparse.Namespace, statements: Sequence[Statement], stack: ExitStack) -> Run:
    run_id = secrets.token_hex(3)
    prefix = f"conformance-{run_id}"
    theirs, ours = f"{prefix}.outbox", f"{prefix}-ours.outbox"
    kafka = stack.enter_context(_borrowed(KAFKA))
    bootstrap = kafka.bootstrap if isinstance(kafka, KafkaAddress) else str(kafka)
    connect = stack.enter_context(_borrowed(CONNECT))
    url = connect if isinstance(connect, str) else connect.url
    database = stack.enter_context(_database(options, statements, run_id, bootstrap, prefix))
    others = [f"{prefix}.{name}" for name in ("heartbeat", "signals")]
    stack.enter_context(topics(bootstrap, prefix, [ours, theirs, *others]))
    connector = Connector(url, database.sections, database.connector_changes)
    stack.callback(connector.remove)
    connector.start()
    run = Run(
        database,
        connector,
        ours=stack.enter_context(closing(Topic(bootstrap, ours))),
        theirs=stack.enter_context(closing(Topic(bootstrap, theirs))),
        kafka=database.sections.kafka.model_copy(update={"prefix": f"{prefix}-ours"}),
    )
    return stack.enter_context(closing(run))


SERVERS: Mapping[str, Server[Any]] = {
    server.name: server for server in (POSTGRES, POSTGRES18, MYSQL, MARIADB, MARIADB118)
}


@contextmanager
def _database(
    options: argparse.Namespace,
    statements: Sequence[Statement],
    run_id: str,
    bootstrap: str,
    prefix: str,
) -> Iterator[Database]:
    with ExitStack() as stack:
        named = stack.enter_context(_borrowed(SERVERS[options.server or options.source]))
        if options.source == "postgres":
            address = PostgresAddress.parse(named) if isinstance(named, str) else named
            fresh = stack.enter_context(fresh_database(address, run_id))
            database = Postgres(fresh, bootstrap=bootstrap, prefix=prefix)
            yield stack.enter_context(database)
        else:
            place = MysqlAddress.parse(named) if isinstance(named, str) else named
            made = stack.enter_context(fresh_binlog_database(place, run_id))
            others = databases_of(statements)
            binlog = Binlog(made, others=others, bootstrap=bootstrap, prefix=prefix)
            yield stack.enter_context(binlog)


@contextmanager
def _borrowed(server: Server[A]) -> Iterator[A | str]:
    """Have a server running for a while; or give the address that somebody named."""
    if named := elsewhere(server.name):
        yield named
        return
    with server.borrowed() as address:
        yield address


def _tell(found: Found, options: argparse.Namespace) -> None:
    for difference in found.differences:
        print(difference)
    print(
        f"\n{found.rows} rows inserted; {found.ours} records of ours, {found.theirs} of Debezium's;"
        f" {found.fields} fields compared; {found.looked_up} rows found by their keys"
        + (f", {found.refused} keys that deliver refuses to guess at" if found.refused else "")
        + f"; {len(found.differences)} differences"
    )
    if options.json:
        print(
            json.dumps(
                {
                    "rows": found.rows,
                    "records": found.theirs,
                    "fields": found.fields,
                    "differences": len(found.differences),
                }
            )
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/conformance",
        description="Run a SQL file and compare what Debezium and the built-in reader make of it.",
        epilog="May differ: " + "; ".join(f"{name} ({why})" for name, why in ALLOWED.items()),
    )
    add = parser.add_argument
    add("--source", choices=["postgres", "mysql", "mariadb"], required=True, help="the database")
    add("--sql", type=Path, metavar="FILE", help="any SQL file; default: our own corpus")
    add("--server", choices=list(FILES), help="another server of the kind")
    add("--json", action="store_true", help="the last line is one JSON object")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
