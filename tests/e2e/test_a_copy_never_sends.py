import json
import time

from confluent_kafka import Producer
from support.flow import Flow


def test_a_role_in_another_environment_ends_and_names_the_difference_and_the_way_on(
    flow: Flow,
) -> None:
    deliver = flow.start("deliver")
    deliver.terminate()
    assert deliver.wait(within_s=30) == 0

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


def test_capture_ends_where_the_log_is_behind_the_last_heartbeat_and_goes_on_when_adopted(
    flow: Flow,
) -> None:
    [(server,)] = flow.database.execute("SELECT system_identifier FROM pg_control_system()")
    producer = Producer({"bootstrap.servers": flow.kafka})
    beat = {"ts_ms": int(time.time() * 1000), "server": str(server), "position": 2**60}
    producer.produce(
        f"{flow.prefix}.heartbeat", key=flow.slot.encode(), value=json.dumps(beat).encode()
    )
    assert producer.flush(10) == 0

    behind = flow.start("capture", ready=False)
    code = behind.wait(within_s=30)
    flow.run("adopt", "--yes")
    flow.start("capture")

    assert code == 5
    assert "a backup was restored" in behind.told()
