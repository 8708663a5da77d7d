from support.fixtures.debezium import Connectors
from support.flow import Flow


def test_rows_that_debezium_captures_are_sent_like_ours(
    flow: Flow, debezium_connector: Connectors
) -> None:
    flow.publish()
    debezium_connector(flow.config)
    flow.start("deliver")
    flow.insert(30, transaction=10)
    flow.database.execute("INSERT INTO sms (phone, body) VALUES ('12', 'wrong number')")

    flow.await_statuses(sent=30, failed=1, within_s=90)
    flow.await_rest()
    assert flow.lost() == []
    assert [letter["class"] for letter in flow.dead_letters()] == ["permanent"]


def test_reader_takes_over_on_a_live_topic_and_sends_nothing_again(
    flow: Flow, debezium_connector: Connectors
) -> None:
    flow.publish()
    debezium_connector(flow.config)
    flow.start("deliver")
    flow.insert(20)
    flow.await_statuses(sent=20, within_s=90)

    debezium_connector.remove_all()
    flow.start("capture")
    flow.insert(20)

    flow.await_statuses(sent=40)
    places = {(record.key(), record.partition()) for record in flow.records("outbox")}
    assert len(places) == 40
    assert set(flow.accepted().values()) == {1}
