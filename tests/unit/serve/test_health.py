"""What every role answers over HTTP, route by route."""

from datetime import UTC, datetime

import orjson
import pytest

from cdc_sms import __version__
from cdc_sms.serve.health import health_routes
from cdc_sms.telemetry.metrics import Metrics


class SomeRole:
    """A role in whatever state a test wants."""

    name = "deliver"

    def __init__(self, *, why_not_ready: str | None = None, live: bool = True) -> None:
        self._why_not_ready = why_not_ready
        self._live = live

    def status(self) -> dict[str, object]:
        return {"state": "sending", "since": datetime(2026, 11, 24, tzinfo=UTC), "why": None}

    def ready(self) -> str | None:
        return self._why_not_ready

    def live(self) -> bool:
        return self._live


@pytest.mark.parametrize(("live", "status"), [(True, 200), (False, 503)], ids=["turns", "stands"])
def test_live_tells_whether_the_loop_turns(live: bool, status: int) -> None:
    answer = health_routes(SomeRole(live=live), Metrics())["/health/live"]()

    assert answer.status == status
    assert orjson.loads(answer.body) == {"live": live}


def test_ready_is_200_when_the_role_works() -> None:
    answer = health_routes(SomeRole(), Metrics())["/health/ready"]()

    assert answer.status == 200
    assert orjson.loads(answer.body) == {"ready": True, "role": "deliver", "why": None}


def test_ready_is_503_with_the_reason_when_it_does_not() -> None:
    role = SomeRole(why_not_ready="the database doesn't answer")

    answer = health_routes(role, Metrics())["/health/ready"]()

    assert answer.status == 503
    assert orjson.loads(answer.body)["why"] == "the database doesn't answer"


def test_status_begins_with_version_role_and_readiness() -> None:
    answer = health_routes(SomeRole(), Metrics())["/status"]()

    assert orjson.loads(answer.body) == {
        "version": __version__,
        "role": "deliver",
        "ready": True,
        "state": "sending",
        "since": "2026-11-24T00:00:00Z",
        "why": None,
    }


@pytest.mark.parametrize(
    ("why", "value"), [(None, "1.0"), ("broken", "0.0")], ids=["ready", "not ready"]
)
def test_metrics_say_whether_the_role_is_ready(why: str | None, value: str) -> None:
    answer = health_routes(SomeRole(why_not_ready=why), Metrics())["/metrics"]()

    assert f'cdc_sms_role_ready{{role="deliver"}} {value}' in answer.body.decode()
    assert answer.content_type.startswith("text/plain; version=0.0.4")


def test_metrics_are_the_role_s_own() -> None:
    page = health_routes(SomeRole(), Metrics())["/metrics"]().body.decode()

    assert "cdc_sms_in_flight_requests" in page
    assert "cdc_sms_source_connected" not in page
    assert len([line for line in page.splitlines() if line.startswith("# TYPE cdc_sms_role")]) == 1
