"""Record one connector, or all: ``python -m recording [postgresql] [mysql] [mariadb]``."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.servers.connect import CONNECT, ConnectAddress

from recording.connectors import Recorder, removed
from recording.matrix import settings
from recording.places import place
from recording.tables import CONNECTORS, changed, made

DATA = Path(__file__).parents[1] / "data" / "debezium"
AT_A_TIME = 4
"""Connectors that run beside each other, on the same rows."""


def main(names: Sequence[str]) -> None:
    """Record, one file of lines a connector."""
    with CONNECT.borrowed() as connect:
        for connector in names or CONNECTORS:
            matrix = list(settings(connector))
            path = DATA / f"settings-{connector}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for start in range(0, len(matrix), AT_A_TIME):
                    for line in _recorded(connect, connector, matrix[start : start + AT_A_TIME]):
                        file.write(f"{line}\n")
                    print(f"{connector}: {start + AT_A_TIME} of {len(matrix)} settings")


def _recorded(
    connect: ConnectAddress, connector: str, matrix: Sequence[tuple[str, Mapping[str, str]]]
) -> Iterator[str]:
    """Record some settings on one database: first what is there, then what changes."""
    with place(connector) as database:
        for statement in made(connector):
            database.execute(statement)
        recorders = list[Recorder]()
        try:
            for number, (name, properties) in enumerate(matrix):
                recorder = Recorder(connect, database, name, properties, number)
                recorder.register()
                recorders.append(recorder)
            for recorder in recorders:
                recorder.read_until(row=4)
            for statement in changed(connector, database.schema):
                database.execute(statement)
            for recorder in recorders:
                recorder.read_to_the_end()
                yield from recorder.lines()
        finally:
            removed(recorders)


if __name__ == "__main__":
    main(sys.argv[1:])
