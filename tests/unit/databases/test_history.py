import pytest

from cdc_sms.databases.history import History
from cdc_sms.errors import NeedsPerson
from cdc_sms.model.position import Lsn


def test_a_log_that_ends_before_what_was_seen_needs_a_person() -> None:
    history = History()
    history.check("7001", Lsn(100), seen=history.furthest)

    with pytest.raises(NeedsPerson, match="ends at 0/50"):
        history.check("7001", Lsn(0x50), seen=history.furthest)


def test_an_answer_that_another_thread_overtook_is_no_step_back() -> None:
    history = History()
    asked = history.furthest
    history.saw(Lsn(105))

    history.check("7001", Lsn(100), seen=asked)

    assert history.furthest == 105


def test_another_server_needs_a_person() -> None:
    history = History()
    history.check("7001", Lsn(100), seen=history.furthest)

    with pytest.raises(NeedsPerson, match="another server"):
        history.check("7002", Lsn(200), seen=history.furthest)
