"""Everything that is missing or wrong on a server is said at once, each with its remedy."""

from dataclasses import replace

import pytest

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import SetupError
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.inspection import Facts, findings, quoted, raise_findings
from cdc_sms.sources.binlog.server import End, Server

TABLE = TableSettings.model_validate(
    {
        "name": "shop.sms",
        "columns": {"key": "id", "recipient": "r", "text": "b", "status": "status"},
    }
)
CAPTURE = CaptureSettings()
GOOD = {
    "version": "9.7.4",
    "server_uuid": "a",
    "server_id": "1",
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
}
FACTS = Facts(
    server=Server(GOOD),
    user="app",
    end=End("binlog.000001", 4, ""),
    table=("shop", "sms", "BASE TABLE", "InnoDB"),
    dictionary=Dictionary((Declared("id", "int"), Declared("status", "varchar")), ("id",)),
)


def names(facts: Facts, capture: CaptureSettings = CAPTURE) -> list[str]:
    return [finding.name for finding in findings(facts, TABLE, capture)]


def with_variables(**variables: str) -> Facts:
    return replace(FACTS, server=Server({**GOOD, **variables}))


def test_a_good_server_has_no_findings() -> None:
    assert names(FACTS) == []


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"version": "5.7.44"}, "version"),
        ({"version": "10.5.1-MariaDB"}, "version"),
        ({"log_bin": "OFF"}, "log-off"),
        ({"binlog_format": "MIXED"}, "row-format"),
        ({"binlog_row_image": "MINIMAL"}, "row-image"),
        ({"server_id": "0"}, "server-id"),
        ({"binlog_order_commits": "OFF"}, "commit-order"),
    ],
)
def test_each_setting_that_is_wrong_is_found(variables: dict[str, str], name: str) -> None:
    assert names(with_variables(**variables)) == [name]


def test_partial_values_matter_to_who_reads_updates() -> None:
    partial = with_variables(binlog_row_value_options="PARTIAL_JSON")

    assert names(partial) == []
    assert names(partial, CaptureSettings(becomes_pending=True)) == ["row-values"]


@pytest.mark.parametrize("right", ["status", "replication", "select"])
def test_each_missing_right_is_found(right: str) -> None:
    assert names(replace(FACTS, refusals={right: "no"})) == [f"{right}-right"]


@pytest.mark.parametrize(
    "end", [End("a.1", 4, "", logged=("other",)), End("a.1", 4, "", ignored=("shop",))]
)
def test_a_filter_that_hides_our_database_is_found(end: End) -> None:
    assert names(replace(FACTS, end=end)) == ["log-filter"]


def test_a_table_must_be_there_with_its_key_and_status() -> None:
    keyless = Dictionary((Declared("id", "int"),), ())
    other = Dictionary((Declared("id", "int"), Declared("status", "int")), ("status",))

    assert names(replace(FACTS, table=None)) == ["no-table"]
    assert names(replace(FACTS, dictionary=keyless)) == ["no-primary-key", "no-column"]
    assert names(replace(FACTS, dictionary=other)) == ["other-primary-key"]
    assert names(replace(FACTS, table=("shop", "sms", "VIEW", ""))) == ["no-table"]
    assert names(replace(FACTS, has_heartbeats=False)) == ["no-heartbeat-table"]


def test_all_findings_come_in_one_error() -> None:
    bad = replace(with_variables(log_bin="OFF"), table=None, has_heartbeats=False)

    with pytest.raises(SetupError) as caught:
        raise_findings(bad, TABLE, CAPTURE)

    assert "writes no binlog" in caught.value.message
    assert "no table shop.sms" in caught.value.message
    assert "cdc-sms migrate" in caught.value.hint


def test_names_are_quoted() -> None:
    assert quoted("a", "b`c") == "`a`.`b``c`"
