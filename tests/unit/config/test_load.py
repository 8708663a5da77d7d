"""The file and the environment become sections, or one error with every mistake."""

from pathlib import Path

import pytest

from cdc_sms.config.load import check_keys_of_providers, load, load_with_origins
from cdc_sms.errors import ConfigurationError

SMALLEST = """
[source]
dsn = "postgresql://sms@db/shop"

[table]
name = "sms"
columns = { key = "id", recipient = "phone", text = "body" }

[kafka]
bootstrap_servers = "kafka:9092"

[providers.justsend]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.toml"
    path.write_text(SMALLEST)
    return path


def _mistakes(path: Path | None, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return [line[4:] for line in caught.value.message.splitlines() if line.startswith("  - ")]


def test_the_smallest_file_is_ten_lines_and_complete(file: Path) -> None:
    sections = load(file, {})

    assert len([line for line in SMALLEST.splitlines() if line]) <= 10
    assert sections.table.columns.key == ("id",)
    assert sections.deliver.senders == 16


def test_file_is_found_by_variable_and_then_in_the_working_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cdc-sms.toml").write_text(SMALLEST.replace("phone", "mobile"))

    by_variable = load(None, {"CDC_SMS_CONFIG": str(file)})
    by_folder = load(None, {})

    assert by_variable.table.columns.recipient == "phone"
    assert by_folder.table.columns.recipient == "mobile"


def test_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    sections = load(
        None,
        {
            "CDC_SMS_SOURCE__DSN": "postgresql://sms@db/shop",
            "CDC_SMS_TABLE__NAME": "sms",
            "CDC_SMS_TABLE__COLUMNS__KEY": "tenant,id",
            "CDC_SMS_TABLE__COLUMNS__RECIPIENT": "phone",
            "CDC_SMS_TABLE__COLUMNS__TEXT": "body",
            "CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
            "CDC_SMS_PROVIDERS__JUSTSEND__KEY": "k",
        },
    )

    assert sections.table.columns.key == ("tenant", "id")
    assert sections.providers["justsend"].key is not None


def test_environment_wins_over_the_file_and_an_empty_variable_does_not_count(file: Path) -> None:
    sections = load(file, {"CDC_SMS_TABLE__NAME": "outgoing", "CDC_SMS_KAFKA__PREFIX": ""})

    assert sections.table.name == "outgoing"
    assert sections.kafka.prefix == "cdc-sms"


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("CDC_SMS_DELIVER__SENDERS", "4", lambda s: s.deliver.senders == 4),
        ("CDC_SMS_KAFKA__VERIFY_TOPICS", "false", lambda s: s.kafka.verify_topics is False),
        ("CDC_SMS_SERVE__ROLES", "http://a:1,http://b:2", lambda s: len(s.serve.roles) == 2),
        ("CDC_SMS_SERVE__ROLES", '["http://a:1"]', lambda s: s.serve.roles == ("http://a:1",)),
        (
            "CDC_SMS_KAFKA__LIBRDKAFKA",
            '{"linger.ms": 5}',
            lambda s: s.kafka.librdkafka == {"linger.ms": 5},
        ),
        (
            "CDC_SMS_PROVIDERS__SECOND_ONE__URL",
            "https://example.test",
            lambda s: s.providers["second_one"].url == "https://example.test",
        ),
    ],
    ids=["number", "truth", "list", "list in JSON", "table in JSON", "a provider by its name"],
)
def test_every_kind_of_value_can_come_from_the_environment(
    file: Path, variable: str, value: str, read: object
) -> None:
    sections = load(file, {variable: value})

    assert callable(read)
    assert read(sections)


def test_secret_comes_from_the_file_that_its_variable_names(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")

    sections = load(file, {"CDC_SMS_SOURCE__PASSWORD_FILE": str(secret)})

    assert sections.source.password is not None
    assert sections.source.password.get_secret_value() == "correct horse"


def test_all_mistakes_are_told_at_once_with_key_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(
        SMALLEST.replace('bootstrap_servers = "kafka:9092"', 'prefiks = "x"')
        + '[deliver]\nsenders = 1000\ndoubt = "maybe"\n[loging]\nlevel = "info"\n'
    )

    mistakes = _mistakes(path, {"CDC_SMS_KAFKA__PARTITIONS": "many"})

    assert mistakes == [
        (
            "kafka.bootstrap_servers is missing: set bootstrap_servers in [kafka], "
            "or CDC_SMS_KAFKA__BOOTSTRAP_SERVERS."
        ),
        "kafka.partitions (from CDC_SMS_KAFKA__PARTITIONS) must be a whole number.",
        "kafka.prefiks is no setting: did you mean prefix?",
        "deliver.senders must be 256 or less.",
        "deliver.doubt must be 'resend' or 'hold'.",
        "loging is no setting: did you mean logging?",
    ]


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("CDC_SMS_KAFKA_PREFIX", "did you mean CDC_SMS_KAFKA__PREFIX?"),
        ("CDC_SMS_DELIVER__SENDRS", "did you mean CDC_SMS_DELIVER__SENDERS?"),
        ("CDC_SMS_PROVIDERS__JUSTSEND__KEI", "did you mean CDC_SMS_PROVIDERS__JUSTSEND__KEY?"),
        ("CDC_SMS_X", "see 'cdc-sms config show'."),
    ],
    ids=["one underscore", "typing error", "a provider's key", "nothing like it"],
)
def test_variable_that_sets_nothing_is_a_mistake(file: Path, variable: str, remedy: str) -> None:
    mistakes = _mistakes(file, {variable: "x"})

    assert mistakes == [f"{variable} sets nothing: {remedy}"]


def test_variables_of_tests_and_of_kubernetes_are_left_alone(file: Path) -> None:
    environ = {
        "CDC_SMS_TEST_KAFKA": "kafka:9092",
        "CDC_SMS_SERVICES_DIR": "/srv",
        "CDC_SMS_SERVICE_HOST": "10.0.0.1",
        "CDC_SMS_DELIVER_PORT_8082_TCP_ADDR": "10.0.0.1",
        "CDC_SMS_SERVE_PORT": "tcp://10.0.0.1:8080",
    }

    sections = load(file, environ)

    assert sections.deliver.address == "127.0.0.1:8082"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('[source]\npassword = "hunter2"', "source.password"),
        ('[kafka]\nsasl_password = "hunter2"', "kafka.sasl_password"),
        ('[providers.justsend]\nkey = "hunter2"', "providers.justsend.key"),
    ],
    ids=["database", "broker", "provider"],
)
def test_secret_in_the_file_is_refused_and_not_repeated(
    tmp_path: Path, line: str, key: str
) -> None:
    section, _, setting = line.partition("\n")
    path = tmp_path / "secret.toml"
    path.write_text(SMALLEST.replace(section, f"{section}\n{setting}"))

    mistakes = _mistakes(path, {})

    assert mistakes[0].startswith(f"{key} must not stand in the file: set CDC_SMS_")
    assert "hunter2" not in "".join(mistakes)


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://sms:hunter2@db/shop", "postgresql://db/shop?password=hunter2"],
    ids=["before the host", "as a parameter"],
)
def test_password_in_the_dsn_is_refused_and_not_repeated(file: Path, dsn: str) -> None:
    mistakes = _mistakes(file, {"CDC_SMS_SOURCE__DSN": dsn})

    assert mistakes[0].startswith("source.dsn (from CDC_SMS_SOURCE__DSN): no password may stand")
    assert "hunter2" not in "".join(mistakes)


def test_secret_that_is_given_twice_is_a_mistake(file: Path, tmp_path: Path) -> None:
    environ = {
        "CDC_SMS_SOURCE__PASSWORD": "a",
        "CDC_SMS_SOURCE__PASSWORD_FILE": str(tmp_path / "b"),
    }

    assert _mistakes(file, environ) == [
        (
            "CDC_SMS_SOURCE__PASSWORD and CDC_SMS_SOURCE__PASSWORD_FILE are both set: "
            "leave one of them out."
        )
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read (No such file or directory)"), ("", "is empty")],
    ids=["missing", "empty"],
)
def test_secret_file_that_gives_none_is_a_mistake(
    file: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_text(content)

    mistakes = _mistakes(file, {"CDC_SMS_SOURCE__PASSWORD_FILE": str(secret)})

    assert len(mistakes) == 1
    assert said in mistakes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "doesn't exist"), ("[source\n", "is no TOML")],
    ids=["missing", "broken"],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "named.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match=said) as caught:
        load(path, {})

    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CDC_SMS_SERVE__ADDRESS", "8080", "an address has the form host:port"),
        ("CDC_SMS_SERVE__ADDRESS", "http://a:80", "an address has the form host:port"),
        ("CDC_SMS_SERVE__ROLES", "a:80", "a role's address has the form http://host:port"),
        ("CDC_SMS_SOURCE__DSN", "oracle://a/b", "must have the form postgresql://"),
        ("CDC_SMS_SOURCE__DSN", "mysql://a/b", "it names no user"),
        ("CDC_SMS_SOURCE__DSN", "mariadb://u@a", "it names no database"),
        ("CDC_SMS_SOURCE__DSN", "mysql://u:p@a/b", "no password may stand in it"),
        ("CDC_SMS_SOURCE__DSN", "mysql://u@a/b?ssl_mode=maybe", "its ssl_mode must be one of"),
        ("CDC_SMS_SOURCE__TYPE", "mysql", "type is mysql, and the DSN names a postgres database"),
        ("CDC_SMS_SOURCE__DSN", "postgresql://a", "it names no database"),
        ("CDC_SMS_DELIVER__LEASE_S", "10", "lease_s must be at least"),
        ("CDC_SMS_DELIVER__PROVIDERS", "other", "deliver.providers names 'other'"),
        ("CDC_SMS_CAPTURE__SLOT", "My-Slot", "The replication slot's name"),
    ],
    ids=[
        "no host",
        "a URL",
        "no URL",
        "other scheme",
        "no user",
        "no database on MariaDB",
        "a password",
        "no such protection",
        "another kind",
        "no database",
        "short",
        "unknown",
        "slot",
    ],
)
def test_value_that_cannot_work_is_refused_with_what_it_should_be(
    file: Path, variable: str, value: str, said: str
) -> None:
    mistakes = _mistakes(file, {variable: value})

    assert len(mistakes) == 1
    assert said in mistakes[0]


def test_names_of_librdkafka_need_no_quotes_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "dots.toml"
    path.write_text(SMALLEST + "[kafka.librdkafka]\nlinger.ms = 5\n'client.rack' = 'a'\n")

    sections = load(path, {})

    assert sections.kafka.librdkafka == {"linger.ms": 5, "client.rack": "a"}


def test_value_of_several_types_is_one_mistake(file: Path) -> None:
    mistakes = _mistakes(file, {"CDC_SMS_KAFKA__LIBRDKAFKA": '{"linger.ms": [5]}'})

    assert len(mistakes) == 1
    assert mistakes[0].startswith("kafka.librdkafka (from CDC_SMS_KAFKA__LIBRDKAFKA)")


def test_origins_name_file_and_variable_of_each_value(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("x")

    _, origins = load_with_origins(
        file, {"CDC_SMS_KAFKA__PREFIX": "shop", "CDC_SMS_SOURCE__PASSWORD_FILE": str(secret)}
    )

    assert origins["table.columns.text"] == str(file)
    assert origins["kafka.prefix"] == "CDC_SMS_KAFKA__PREFIX"
    assert origins["source.password"] == "CDC_SMS_SOURCE__PASSWORD_FILE"
    assert "kafka.partitions" not in origins


def test_who_sends_needs_the_providers_key(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"providers\.justsend\.key is missing"):
        check_keys_of_providers(load(file, {}))
    with pytest.raises(ConfigurationError, match="can't be read"):
        check_keys_of_providers(
            load(file, {"CDC_SMS_PROVIDERS__JUSTSEND__KEY_FILE": str(tmp_path / "none")})
        )

    check_keys_of_providers(load(file, {"CDC_SMS_PROVIDERS__JUSTSEND__KEY": "k"}))
