"""Every metric once: name, kind, unit, labels and meaning; the reference page prints this.

Labels come from closed sets; no number, text or message id is ever one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200
)  # fmt: skip


class Metrics:
    """The metrics of one process, in registries of its own: one a role, and a common one.

    A role shows only its own: else deliver would say that its source is not connected.

    Thread: any; the client library locks.
    """

    def __init__(self) -> None:
        common, capture, deliver = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
        self._common = common
        self._of_role = {"capture": capture, "deliver": deliver}

        # capture
        self.log_lag = Gauge(
            "cdc_sms_log_lag_bytes",
            "Bytes of the database's log that it holds back for us: written, not yet confirmed.",
            registry=capture,
        )
        self.rows_produced = Counter(
            "cdc_sms_rows_produced",
            "Rows acknowledged on the outbox, by operation (c: streamed, r: snapshot).",
            ["operation"],
            registry=capture,
        )
        self.rows_trimmed = Counter(
            "cdc_sms_rows_trimmed",
            "Rows produced with their key and what fits, by reason (too_large, undecodable).",
            ["reason"],
            registry=capture,
        )
        self.produce_latency = Histogram(
            "cdc_sms_produce_latency_seconds",
            "From the transaction's commit, by the database's clock, to the acknowledgement.",
            buckets=_LATENCY_BUCKETS,
            registry=capture,
        )
        self.unacknowledged = Gauge(
            "cdc_sms_unacknowledged_records",
            "Records handed to Kafka and not yet acknowledged.",
            registry=capture,
        )
        self.heartbeat_age = Gauge(
            "cdc_sms_heartbeat_age_seconds",
            "Since a heartbeat, or a row, last went through the log and was acknowledged.",
            registry=capture,
        )
        self.source_connected = Gauge(
            "cdc_sms_source_connected",
            "1 while the log streams; 0 while capture waits for the database or the slot.",
            registry=capture,
        )

        # deliver
        self.outbox_lag = Gauge(
            "cdc_sms_outbox_lag_records",
            "Records on our partitions behind the log's end, counted from the committed offset.",
            ["partition"],
            registry=deliver,
        )
        self.oldest_unfinished = Gauge(
            "cdc_sms_oldest_unfinished_seconds",
            "Age of the oldest record that is not finished, by what it waits for.",
            ["reason"],
            registry=deliver,
        )
        self.waiting = Gauge(
            "cdc_sms_waiting_records",
            "Records that wait in memory, by what they wait for.",
            ["reason"],
            registry=deliver,
        )
        self.attempts = Counter(
            "cdc_sms_attempts",
            "Requests to the provider, by outcome (sent, transient, permanent, account, in_doubt).",
            ["provider", "outcome"],
            registry=deliver,
        )
        self.request_latency = Histogram(
            "cdc_sms_request_latency_seconds",
            "Time of one request to the provider.",
            ["provider"],
            buckets=_LATENCY_BUCKETS,
            registry=deliver,
        )
        self.in_flight = Gauge(
            "cdc_sms_in_flight_requests", "Requests that senders are busy with.", registry=deliver
        )
        self.accept_latency = Histogram(
            "cdc_sms_accept_latency_seconds",
            "From the record's timestamp on the outbox to the provider's acceptance.",
            buckets=_LATENCY_BUCKETS,
            registry=deliver,
        )
        self.finished = Counter(
            "cdc_sms_records_finished",
            "Records whose offset may go, by how they ended.",
            ["how"],
            registry=deliver,
        )
        self.breaker_open = Gauge(
            "cdc_sms_breaker_open",
            "0 closed, 1 open, 0.5 while a probe is under way.",
            ["provider"],
            registry=deliver,
        )
        self.breaker_opened = Counter(
            "cdc_sms_breaker_opened",
            "How often the breaker opened.",
            ["provider"],
            registry=deliver,
        )
        self.holds = Gauge("cdc_sms_holds", "Holds in force, by kind.", ["kind"], registry=deliver)
        self.owed = Gauge(
            "cdc_sms_owed_write_backs",
            "Rows that could not take their status yet.",
            registry=deliver,
        )
        self.in_doubt = Gauge(
            "cdc_sms_in_doubt_messages",
            "Messages of which it is not known whether the provider accepted them.",
            registry=deliver,
        )
        self.possible_doubles = Gauge(
            "cdc_sms_possible_doubles",
            "Messages that were sent again after a doubt, ever.",
            registry=deliver,
        )
        self.dead_letters = Counter(
            "cdc_sms_dead_letters",
            "Dead letters acknowledged on the dead-letter topic, by class.",
            ["dead_letter_class"],
            registry=deliver,
        )
        self.paused_partitions = Gauge(
            "cdc_sms_paused_partitions",
            "Partitions paused, by reason.",
            ["reason"],
            registry=deliver,
        )

        # every role
        self.up = Gauge(
            "cdc_sms_role_ready", "1 while the role is ready.", ["role"], registry=common
        )

    def render(self, role: str) -> bytes:
        """Return a role's metrics as exposition text, in the format of :data:`CONTENT_TYPE`."""
        own = self._of_role.get(role)
        return generate_latest(self._common) + (generate_latest(own) if own else b"")
