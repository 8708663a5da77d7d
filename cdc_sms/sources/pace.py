"""When to let a log's traffic collect for a moment before it is read. Pure."""

NAP_S = 0.0015
"""How long what comes may collect; seconds."""

BUSY_S = 0.002
"""What comes closer together than this is left to collect; seconds."""


class Pace:
    """Spares a reader the waking up.

    Waking up costs more than reading: at thousands of transactions a second of other tables most
    of the work would be that.

    Thread: one owner.
    """

    def __init__(self) -> None:
        self._came_s = float("-inf")

    def nap_s(self, now_s: float, *, is_little: bool = True) -> float:
        """Take note that something came now; return how long to let more of it come; seconds.

        Args:
            now_s: of a clock that only goes forward.
            is_little: whether reading it is less work than waking up for it was.
        """
        before_s, self._came_s = self._came_s, now_s
        return NAP_S if is_little and now_s - before_s < BUSY_S else 0.0
