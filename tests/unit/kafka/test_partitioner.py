"""A key is on the partition where Java's default partitioner, and so Debezium, puts it."""

import pytest
from confluent_kafka import murmur2

# Source: Apache Kafka, UtilsTest.testMurmur2
JAVA = {
    "21": -973_932_308,
    "foobar": -790_332_482,
    "a-little-bit-long-string": -985_981_536,
    "a-little-bit-longer-string": -1_486_304_829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58_897_971,
}


@pytest.mark.parametrize("key", JAVA)
@pytest.mark.parametrize("partitions", [1, 7, 12, 1000])
def test_the_clients_partitioner_agrees_with_javas(key: str, partitions: int) -> None:
    expected = (JAVA[key] & 0x7FFF_FFFF) % partitions

    assert murmur2(key.encode(), partitions) == expected
