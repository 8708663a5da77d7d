"""The list of cases."""

from faults.cases import between, capture, deliver, kills, provider, records, rows, servers
from faults.runs import Case

CASES = {
    case.name: case
    for case in (
        Case("kill-capture", capture.kill_capture, 180, is_fast=True),
        Case("connection-kills", kills.connection_kills, 300, is_fast=True, readers=["builtin"]),
        Case("kill-deliver", deliver.kill_deliver, 90, is_fast=True),
        Case("kill-between", between.kill_between, 240),
        Case("members", deliver.members, 150),
        Case("frozen-member", deliver.frozen_member, 120, is_fast=True),
        Case("takeover", capture.takeover, 120, is_fast=True, readers=["builtin"]),
        Case("provider-down", provider.provider_down, 90, is_fast=True),
        Case("accepted-500", provider.accepted_500, 90, is_fast=True),
        Case("account", provider.account, 90, is_fast=True),
        Case("long-outage", provider.long_outage, 120, outages=4),
        Case("database-restart", servers.database_restart, 120),
        Case("kafka-restart", servers.kafka_restart, 180),
        Case("row-locked", rows.row_locked, 90, is_fast=True),
        Case("row-late", servers.row_late, 150, is_fast=True),
        Case("row-changed", rows.row_changed, 60, is_fast=True),
        Case("ids-again", rows.ids_again, 120, is_fast=True),
        Case("poison", records.poison, 60, is_fast=True),
        Case("large", records.large, 60, is_fast=True),
    )
}
