"""A broker inside the demo's own process: librdkafka's mock cluster, by way of its client library.

For the demo only, and for nothing else: it keeps everything in memory, drops the oldest records
silently once a partition holds 5 MiB or 100,000 of them, and answers no admin call, no look-up
by time and no transaction. It starts in milliseconds and needs nothing that isn't installed
anyway. Other processes reach it over loopback like any broker, with :data:`LIBRDKAFKA` set.

Source: ``rdkafka_mock.h`` of librdkafka.
"""

import ctypes
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from cdc_sms.errors import SetupError

PARTITION_BYTES = 5 * 1024 * 1024
"""What a partition keeps; beyond it the oldest records are dropped without a word."""

GROUP_PROTOCOL = "consumer"
"""``kafka.group_protocol`` for its clients: groups of the classic protocol take over slowly."""

LIBRDKAFKA: Mapping[str, str | int] = {
    # the mock cluster doesn't wake a waiting fetch when a record comes
    "fetch.wait.max.ms": 10,
    "compression.type": "zstd",
}
"""Settings that its clients need, as ``[kafka.librdkafka]`` takes them."""

_PRODUCER = 0  # rd_kafka_type_t
_SESSION_TIMEOUT_MS = 3000
_REBALANCE_DELAY_MS = 100


class EmbeddedBroker:
    """One broker on a loopback port of its own, gone with its process.

    Thread: one owner; the broker itself runs in a thread of the library.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        """Start it, with its topics: each name with its number of partitions.

        Raises:
            SetupError: the installed client library can't be a broker.
        """
        self._library = _load(library_file(_client_folder()))
        self._client = _new_client(self._library)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._client)
            raise _unusable("its mock cluster did not start")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(
            self._cluster, _REBALANCE_DELAY_MS
        )
        self._library.rd_kafka_mock_set_group_consumer_session_timeout_ms(
            self._cluster, _SESSION_TIMEOUT_MS
        )
        for name, partitions in topics.items():
            self._make_topic(name, partitions)

    @property
    def bootstrap_servers(self) -> str:
        """Return ``host:port``, as ``kafka.bootstrap_servers`` takes it."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def close(self) -> None:
        """Stop it; what it held is gone. Closing twice is allowed."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)
            self._cluster = None

    def __enter__(self) -> Self:
        """Return the broker."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.close()

    def _make_topic(self, name: str, partitions: int) -> None:
        error: int = self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, 1
        )
        if error:
            self.close()
            raise _unusable(f"topic {name} could not be made (error {error})")


def library_file(client_folder: Path) -> Path:
    """Return the shared library that the client's wheel brings along.

    Args:
        client_folder: the folder of the installed package ``confluent_kafka``.

    Raises:
        SetupError: there is none: the client was not installed from its wheel.
    """
    # auditwheel's place on Linux, delocate's on macOS
    places = (
        (client_folder.with_name("confluent_kafka.libs"), "librdkafka*.so*"),
        (client_folder / ".dylibs", "librdkafka*.dylib"),
    )
    for folder, pattern in places:
        if found := sorted(folder.glob(pattern)):
            return found[0]
    raise _unusable("it doesn't bring its own librdkafka")


def _client_folder() -> Path:
    spec = find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _load(path: Path) -> ctypes.CDLL:
    """Load the library and say what its functions take; pointers are not ints to ctypes."""
    try:
        library = ctypes.CDLL(os.fspath(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)  # cached, unlike library[name]
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        raise _unusable(str(error)) from error
    return library


_POINTER = ctypes.c_void_p
_FUNCTIONS: Mapping[str, tuple[object, tuple[object, ...]]] = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_conf_set_log_cb": (None, (_POINTER, _POINTER)),
    "rd_kafka_new": (_POINTER, (ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, ctypes.c_int)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, (_POINTER,)),
    "rd_kafka_mock_topic_create": (
        ctypes.c_int,
        (_POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    ),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_set_group_consumer_session_timeout_ms": (None, (_POINTER, ctypes.c_int)),
}


def _new_client(library: ctypes.CDLL) -> int:
    """Return the library's handle that owns the cluster; it connects to nothing."""
    reason = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set_log_cb(configuration, None)
    client: int | None = library.rd_kafka_new(_PRODUCER, configuration, reason, len(reason))
    if client is None:
        raise _unusable(reason.value.decode(errors="replace"))
    return client


def _unusable(why: str) -> SetupError:
    return SetupError(
        f"The installed confluent-kafka can't serve as the demo's broker: {why}.",
        hint="Install confluent-kafka from its wheel (Linux or macOS), or run "
        "`cdc-sms demo --servers real` against an Apache Kafka.",
    )
