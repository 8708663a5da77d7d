from support.flow import Flow


def test_a_role_in_another_environment_ends_and_names_the_difference_and_the_way_on(
    flow: Flow,
) -> None:
    flow.start("deliver").terminate()

    copy = flow.start("deliver", ready=False, CDC_SMS_LEDGER__ENVIRONMENT="staging")
    code = copy.wait(within_s=30)

    assert code == 5
    assert "the environment was production and is staging" in copy.told()
    assert "cdc-sms adopt" in copy.told()


def test_after_adopting_what_was_created_before_is_held_and_what_is_new_is_sent(
    flow: Flow,
) -> None:
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(5)
    flow.await_statuses(sent=5)
    deliver.terminate()
    assert deliver.wait(within_s=30) == 0
    flow.insert(3)

    flow.run("adopt", "--yes", "--before", "hold")
    flow.start("deliver")
    flow.insert(4)

    flow.await_statuses(sent=9, pending=3)
    assert flow.status("deliver")["holds"] == ["history"]
    assert set(flow.accepted().values()) == {1}


def test_adopting_with_skip_dead_letters_what_was_created_before(flow: Flow) -> None:
    flow.start("capture")
    flow.insert(3)

    flow.run("adopt", "--yes", "--before", "skip")
    flow.start("deliver")
    flow.insert(2)

    flow.await_statuses(sent=2, failed=3)
    assert {letter["code"] for letter in flow.dead_letters()} == {"given_up"}
