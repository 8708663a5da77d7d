"""From COMMIT to the topic, beside the way from a producer to the topic alone.

One consumer looks at both, so that its own way cancels out: a row's record after its COMMIT
returned, and a record of the same bytes after a producer of ours, with capture's settings, was
given it. Both come one at a time and in turn, so that the machine's moods meet both.
"""

import random
import time
from collections.abc import Callable

from support.flow import Flow

from bench.figures import Values, percentile
from bench.site import Outbox, Site
from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.producer import Delivery, Producer

PAUSES_S = (0.002, 0.012)
"""Between two rows; of different length, so that no timer's rhythm is met."""

WARM_UP = 20

_INSERT = "INSERT INTO sms (phone, body) VALUES ('+48600100200', 'Your order 4711 is ready')"


class CommitToTopic:
    """The benchmark.

    Args:
        site: to work on.
        samples: of each kind, a round.
    """

    def __init__(self, site: Site, *, samples: int) -> None:
        self._samples = samples
        self._flow = site.flow()
        self._outbox = site.outbox(self._flow)
        self._flow.start("capture")
        self._pauses = random.Random(1)
        self._way = site.closed_at_end(_Way(self._flow, self._outbox))

    def round(self) -> Values:
        """Measure; milliseconds."""
        self._outbox.follow()
        kinds = (self._way.committed, self._way.produced, self._way.acknowledged)
        self._way.committed()  # the others need its bytes
        took_ms: dict[str, list[float]] = {kind.__name__: [] for kind in kinds}
        for number in range(WARM_UP + self._samples):
            for kind in kinds:
                took = self._measured(kind)
                if number >= WARM_UP:
                    took_ms[kind.__name__].append(took)
        return _told(took_ms)

    def _measured(self, kind: Callable[[], float]) -> float:
        time.sleep(self._pauses.uniform(*PAUSES_S))
        return kind() * 1000


class _Way:
    """The ways to the topic; each method goes one and returns how long it took, in seconds."""

    def __init__(self, flow: Flow, outbox: Outbox) -> None:
        self._outbox = outbox
        self._session = flow.business.session()
        self._producer = Producer(KafkaSettings(bootstrap_servers=flow.kafka, prefix=flow.prefix))
        self._key, self._value = b"", b""
        self._waits = 0

    def committed(self) -> float:
        """From the return of COMMIT until the row's record is seen."""
        self._session.execute(_INSERT)
        self._session.commit()
        begun = time.perf_counter()
        record = self._outbox.next()
        took = time.perf_counter() - begun
        self._key, self._value = record.key() or b"", record.value() or b""
        return took

    def produced(self) -> float:
        """From the producer's call until the record is seen."""
        begun = self._produce()
        self._outbox.next()
        took = time.perf_counter() - begun
        self._await_acknowledgement()
        return took

    def acknowledged(self) -> float:
        """From the producer's call until its acknowledgement."""
        begun = self._produce()
        self._await_acknowledgement()
        took = time.perf_counter() - begun
        self._outbox.next()
        return took

    def close(self) -> None:
        """Let database and broker go."""
        self._session.__exit__(None, None, None)
        self._producer.close()

    def _produce(self) -> float:
        self._waits += 1
        begun = time.perf_counter()
        self._producer.produce(
            self._outbox.topic, key=self._key, value=self._value, on_delivery=self._delivered
        )
        return begun

    def _delivered(self, delivery: Delivery) -> None:
        assert delivery.error is None, delivery.error
        self._waits -= 1

    def _await_acknowledgement(self) -> None:
        while self._waits:
            self._producer.poll(1)


def _told(took_ms: dict[str, list[float]]) -> Values:
    ways = {
        "commit_to_topic": took_ms["committed"],
        "produce_to_topic": took_ms["produced"],
        "produce_to_acknowledged": took_ms["acknowledged"],
    }
    told = {
        f"{way}_p{percent}_ms": percentile(values, percent)
        for way, values in ways.items()
        for percent in (50, 99)
    }
    over = {
        f"commit_over_produce_p{percent}_ms": (
            told[f"commit_to_topic_p{percent}_ms"] - told[f"produce_to_topic_p{percent}_ms"]
        )
        for percent in (50, 99)
    }
    return {**told, **over}
