import pytest

from cdc_sms.errors import ConfigurationError
from cdc_sms.playground.real import without_password


@pytest.mark.parametrize(
    ("dsn", "own"),
    [
        (
            "postgresql://bob:s%40fe@db.example:5432/shop?sslmode=require",
            "postgresql://bob@db.example:5432/own?sslmode=require",
        ),
        ("mysql://bob:s%40fe@db.example:3306/", "mysql://bob@db.example:3306/own"),
    ],
    ids=["database", "server"],
)
def test_address_of_the_own_database_holds_no_password(dsn: str, own: str) -> None:
    assert without_password(dsn, database="own") == (own, "s@fe")


@pytest.mark.parametrize(
    "dsn",
    ["host=localhost dbname=shop", "postgresql://bob@db.example/shop"],
    ids=["key words", "no password"],
)
def test_address_in_another_form_is_refused_with_the_right_one(dsn: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        without_password(dsn, database="own")

    assert "postgresql://user:password@" in refusal.value.hint
