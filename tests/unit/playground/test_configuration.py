import tomllib
from pathlib import Path

import pytest

from cdc_sms.config.load import load
from cdc_sms.playground.broker import LIBRDKAFKA
from cdc_sms.playground.configuration import SENDERS, Servers, as_toml, sections
from cdc_sms.playground.shop import TABLE

EMBEDDED = Servers(
    name="cdc_sms_demo",
    dsn="postgresql://postgres@127.0.0.1:5555/postgres",
    password="secret",
    kafka={
        "bootstrap_servers": "127.0.0.1:9999",
        "prefix": "cdc-sms-demo",
        "verify_topics": False,
        "librdkafka": LIBRDKAFKA,
    },
)
ADDRESSES = {
    "capture": "127.0.0.1:5001",
    "deliver": "127.0.0.1:5002",
    "serve": "127.0.0.1:5003",
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "cdc-sms.toml"
    tables = sections(EMBEDDED, provider_url="http://127.0.0.1:4444/api/rest", addresses=ADDRESSES)
    file.write_text(as_toml(tables))
    return file


def test_demo_writes_a_configuration_that_is_read_without_a_mistake(written: Path) -> None:
    settings = load(written, {})

    assert settings.table.name == TABLE
    assert settings.source.dsn == EMBEDDED.dsn
    assert settings.kafka.librdkafka == LIBRDKAFKA
    assert settings.kafka.verify_topics is False
    assert settings.capture.reader == "builtin"
    assert settings.deliver.senders == SENDERS
    assert settings.serve.roles == ("http://127.0.0.1:5001", "http://127.0.0.1:5002")


def test_demo_writes_no_secret_into_the_file(written: Path) -> None:
    assert EMBEDDED.password not in written.read_text()


def test_toml_is_what_a_toml_reader_reads() -> None:
    tables = {"a": {"text": 'quoted " and \\', "n": 1.5}, "a.b": {"x.y": True, "l": ["1", "2"]}}

    read = tomllib.loads(as_toml(tables))

    assert read == {"a": {**tables["a"], "b": tables["a.b"]}}
