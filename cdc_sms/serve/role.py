"""The ``serve`` role: the HTTP side for people, which also asks the other roles."""

import threading

from cdc_sms.config.settings import ServeSettings
from cdc_sms.model.clock import SystemClock
from cdc_sms.operate.roles import ask_roles


class Serve:
    """Answers for the whole installation: its own health, and what the other roles say.

    Args:
        settings: the section ``[serve]``.

    Thread: :meth:`run` in one; HTTP threads call the rest.
    """

    name = "serve"

    def __init__(self, settings: ServeSettings) -> None:
        self._roles = settings.roles
        self._since = SystemClock().now()

    def run(self, stop: threading.Event) -> None:
        """Wait to be told to stop: the HTTP side does the work."""
        stop.wait()

    def status(self) -> dict[str, object]:
        """Return its own state, and each other role's as it answers now."""
        return {
            "state": "serving",
            "since": self._since,
            "why": None,
            "roles": ask_roles(self._roles),
        }

    def ready(self) -> str | None:
        """Return None: to answer is all that it does."""
        return None

    def live(self) -> bool:
        """Return True: to answer is all that it does."""
        return True
