from confluent_kafka import Producer
from support.flow import Flow
from support.sources import on_every_database
from support.waiting import until


@on_every_database
def test_records_that_are_delivered_again_send_nothing_again(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(40, transaction=8)
    flow.await_statuses(sent=40)

    producer = Producer({"bootstrap.servers": flow.kafka})
    for record in flow.records("outbox"):
        producer.produce(record.topic(), record.value(), record.key())
    producer.flush()

    until(lambda: len(flow.records("outbox")) == 80, within_s=10)
    flow.await_rest()
    assert set(flow.accepted().values()) == {1}


def test_two_members_share_the_work_and_send_each_message_once(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.start("deliver", ready=False, CDC_SMS_DELIVER__ADDRESS="127.0.0.1:0")

    flow.insert(200, transaction=5)

    flow.await_statuses(sent=200)
    assert set(flow.accepted().values()) == {1}
