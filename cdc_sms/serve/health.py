"""What every role says of itself over HTTP: live, ready, status, metrics."""

from collections.abc import Mapping
from typing import Protocol

from cdc_sms import __version__
from cdc_sms.serve.app import Response, Route, json_response
from cdc_sms.telemetry.metrics import CONTENT_TYPE, Metrics


class Health(Protocol):
    """What a role knows of its own health.

    Thread: any thread may call any of these; none may block.
    """

    name: str

    def status(self) -> dict[str, object]:
        """Return what a person wants to know: at least ``state``, ``since`` and ``why``.

        Returns:
            Values that JSON has, and aware times.
        """
        ...

    def ready(self) -> str | None:
        """Return None when the role does its work now, else why it doesn't."""
        ...

    def live(self) -> bool:
        """Say whether the role's loop has turned lately; False asks for a restart."""
        ...


def health_routes(role: Health, metrics: Metrics) -> dict[str, Route]:
    """Return the routes that every role has, by path."""

    def live() -> Response:
        alive = role.live()
        return json_response({"live": alive}, status=200 if alive else 503)

    def ready() -> Response:
        why = role.ready()
        answer = {"ready": why is None, "role": role.name, "why": why}
        return json_response(answer, status=200 if why is None else 503)

    def status() -> Response:
        return json_response(status_of(role))

    def scrape() -> Response:
        metrics.up.labels(role.name).set(role.ready() is None)
        return Response(200, CONTENT_TYPE, metrics.render(role.name))

    return {
        "/health/live": live,
        "/health/ready": ready,
        "/metrics": scrape,
        "/status": status,
    }


def status_of(role: Health) -> Mapping[str, object]:
    """Return the role's status with what every role's status begins with."""
    return {
        "version": __version__,
        "role": role.name,
        "ready": role.ready() is None,
        **role.status(),
    }
