from cdc_sms.sources.pace import BUSY_S, NAP_S, Pace


def test_what_comes_close_together_is_left_to_collect() -> None:
    pace = Pace()
    pace.nap_s(10.0)

    assert pace.nap_s(10.0 + BUSY_S / 2) == NAP_S


def test_what_comes_alone_is_read_at_once() -> None:
    pace = Pace()

    assert (pace.nap_s(10.0), pace.nap_s(10.1)) == (0.0, 0.0)


def test_much_is_read_at_once() -> None:
    pace = Pace()
    pace.nap_s(10.0)

    assert pace.nap_s(10.0, is_little=False) == 0.0
