from support.flow import Flow
from support.waiting import GaveUpError, still, until


def test_idle_roles_never_ask_the_business_table(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(5)
    flow.await_statuses(sent=5)
    flow.await_rest()

    def scans() -> int:
        return int(
            flow.ledger(
                "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0)"
                " FROM pg_stat_user_tables WHERE relname = 'sms'"
            )
        )

    def stays_for(seconds: float) -> bool:
        before = scans()
        try:
            still(lambda: scans() == before, for_s=seconds)
        except GaveUpError:
            return False
        return True

    # the server counts a session's scans with a delay: first the test's own must have come in
    until(lambda: stays_for(2), within_s=30, what="the counters of the past to come in")
    assert stays_for(8)
