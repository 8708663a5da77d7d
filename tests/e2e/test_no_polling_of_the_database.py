from support.flow import Flow
from support.waiting import still


def test_idle_roles_never_ask_the_business_table(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(5)
    flow.await_statuses(sent=5)
    flow.await_rest()
    oid = flow.ledger("SELECT 'sms'::regclass::oid::int")

    def scans() -> int:
        return int(
            flow.ledger(
                "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0)"
                " FROM pg_stat_user_tables WHERE relname = 'sms'"
            )
        )

    before = scans()
    still(lambda: scans() == before, for_s=8, what="the business table to be left alone")
    assert oid
