"""The benchmarks run: at tiny sizes, whose figures mean nothing."""

import pytest
from bench.__main__ import main, measure
from bench.catalogue import BENCHMARKS, Sizes
from bench.figures import TARGETS
from bench.site import Servers
from support.servers.kafka import KafkaAddress
from support.servers.postgres import PostgresAddress

TINY = Sizes(
    samples=5,
    backlog_rows=2_000,
    messages=100,
    slow_messages=50,
    burst_rows=1_000,
    burst_messages=20,
    unrelated=200,
    live_per_s=100,
    huge_mb=2,
)
FIGURES = {
    "commit-to-topic": {
        f"{way}_p{percent}_ms"
        for way in (
            "commit_to_topic",
            "produce_to_topic",
            "produce_to_acknowledged",
            "commit_over_produce",
        )
        for percent in (50, 99)
    },
    "backlog": {
        f"{kind}_{figure}"
        for kind in ("backlog", "backlog_single", "backlog_one_transaction")
        for figure in ("rows_per_s", "cpu_us_per_row")
    },
    "deliver": {
        f"{kind}_{figure}"
        for kind in ("deliver", "deliver_50ms")
        for figure in ("messages_per_s", "cpu_ms_per_message")
    },
    "memory": {
        f"{role}_{when}_mb" for role in ("capture", "deliver", "serve") for when in ("idle", "peak")
    },
    "unrelated": {"unrelated_cpu_us_per_transaction"},
    "unrelated-live": {"unrelated_live_cpu_percent", "unrelated_live_transactions_per_s"},
    "huge-transaction": {"huge_transaction_capture_peak_mb"},
}

UNITS_ABOVE_ZERO = ("_per_s", "_topic_p50_ms", "_mb")
"""Even at these sizes; the kernel counts a process's time in hundredths of a second."""


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_measures_all_its_figures(
    name: str, postgres_server: PostgresAddress, kafka_server: KafkaAddress
) -> None:
    servers = Servers(postgres_server, kafka_server.bootstrap)

    figures = measure(servers, [name], sizes=TINY, rounds=1)

    assert {figure.name for figure in figures} == FIGURES[name]
    assert all(
        figure.median > 0
        for figure in figures
        if figure.name.endswith(("_per_s", "_topic_p50_ms", "_mb"))
    )


def test_every_target_belongs_to_a_figure() -> None:
    assert set(TARGETS) <= set().union(*FIGURES.values())


def test_comparison_is_refused_as_long_as_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare"])

    assert ended.value.code == 2
    assert "compare is not there yet" in capsys.readouterr().err
