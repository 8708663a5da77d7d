"""Which servers the demo can't have are refused before anything is started."""

import pytest
from click.testing import CliRunner

from cdc_sms.cli.demo import demo
from cdc_sms.errors import ConfigurationError


def refusal(*words: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        CliRunner().invoke(demo, ["--headless", *words], catch_exceptions=False)
    return refused.value


@pytest.mark.parametrize("source", ["mysql", "mariadb"])
def test_demo_of_another_database_than_the_embedded_one_asks_for_real_servers(source: str) -> None:
    refused = refusal("--source", source)

    assert source in refused.message
    assert f"scripts/demo --servers real --source {source}" in refused.hint


def test_demo_refuses_an_address_of_another_kind_of_database() -> None:
    dsn = "postgresql://u:p@127.0.0.1:1/x"

    refused = refusal(
        *("--servers", "real", "--source", "mysql", "--dsn", dsn, "--bootstrap", "127.0.0.1:1")
    )

    assert "another kind" in refused.message


def test_demo_with_real_servers_asks_for_their_addresses() -> None:
    refused = refusal("--servers", "real", "--source", "mariadb")

    assert "--dsn" in refused.hint
