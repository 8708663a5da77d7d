"""Every key, walked from the settings."""

import pytest

from cdc_sms.config.keys import Key, all_keys, find, keys_of, path_of, section_documentation

KEYS = all_keys()


@pytest.mark.parametrize("key", KEYS, ids=[key.dotted for key in KEYS])
def test_every_key_says_what_it_is_for(key: Key) -> None:
    assert key.field.description
    assert key.field.description.rstrip().endswith((".", ")"))
    assert section_documentation(key.section)


def test_keys_of_providers_have_a_free_name() -> None:
    assert "providers.<name>.url" in [key.dotted for key in KEYS]
    assert find(("providers", "any", "url")) is not None
    assert find(("providers", "any")) is None


def test_secrets_are_known() -> None:
    assert [key.dotted for key in KEYS if key.is_secret] == [
        "source.password",
        "kafka.sasl_password",
        "providers.<name>.key",
    ]


def test_variable_and_path_are_each_other_s_way_back() -> None:
    path = ("table", "columns", "send_after")

    key = find(path)

    assert key is not None
    assert key.variable == "CDC_SMS_TABLE__COLUMNS__SEND_AFTER"
    assert path_of(key.variable) == path


def test_names_of_a_section_are_listed_and_of_no_section_none() -> None:
    assert keys_of(("serve",)) == ("address", "roles")
    assert keys_of(("kafka", "prefix")) == ()
    assert keys_of(("nothing",)) == ()
