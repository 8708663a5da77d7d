"""What is common to all acts, on each kind of database."""

import pytest
from support.acts_site import Site
from support.business.dialects import SOURCES

from cdc_sms.model.state import State


@pytest.mark.parametrize("source", SOURCES)
def test_status_shows_the_ledger(site: Site) -> None:
    site.know(site.insert(2, status="sending"), State.SENDING)

    said = site.json("status")

    assert said["database"] == {"reachable": True, "why": None}
    assert said["messages"] == {"sending": 2}
    assert [one["state"] for one in said["oldest_unfinished"]] == ["sending"]
    assert (said["slot"], said["log"]) == (None, None)


@pytest.mark.parametrize("source", SOURCES)
def test_migrate_of_what_is_migrated_changes_nothing(site: Site) -> None:
    [key] = site.insert()
    site.know([key], State.SENT)

    site.run("migrate")

    assert site.message(key)["state"] == "sent"


@pytest.mark.parametrize("source", SOURCES)
def test_adopt_takes_the_server_and_the_mapping_for_the_place(site: Site, source: str) -> None:
    site.json("adopt", "--yes")

    identity = site.control("identity")
    asked = {
        "postgres": "SELECT system_identifier FROM pg_control_system()",
        "mysql": "SELECT @@server_uuid",
        "mariadb": "SELECT @@server_id",
    }
    [(server,)] = site.database.execute(asked[source])
    assert identity is not None
    assert identity["server"] == str(server)
    assert identity["mapping"] == "sms: id integer, created_at timestamptz"
