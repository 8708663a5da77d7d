from pathlib import Path

import pytest

from cdc_sms.errors import SetupError
from cdc_sms.playground.broker import library_file


@pytest.mark.parametrize(
    "placed",
    [
        "confluent_kafka.libs/librdkafka-0cb94173.so.1",
        "confluent_kafka/.dylibs/librdkafka.1.dylib",
    ],
    ids=["a Linux wheel", "a macOS wheel"],
)
def test_broker_finds_the_library_inside(placed: str, tmp_path: Path) -> None:
    library = tmp_path / placed
    library.parent.mkdir(parents=True)
    library.touch()

    assert library_file(tmp_path / "confluent_kafka") == library


def test_broker_says_so_when_the_client_brings_no_library(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as refusal:
        library_file(tmp_path / "confluent_kafka")

    assert "--servers real" in refusal.value.hint
