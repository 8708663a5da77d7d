"""Child processes that don't outlive the demo: started apart from the terminal, ended in order."""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cdc_sms.errors import SetupError

_COMMAND_WITHIN_S = 120.0


class Child:
    """One child process, in a session of its own: the terminal's Ctrl-C reaches only the demo.

    Thread: the demo's main thread starts all of them. On Linux a child is told to end when the
    thread that started it does, so that even a killed demo leaves none behind.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        as_user: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphaned_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            log: the file that its output is appended to.
            as_user: the words that make another user run it.
            environment: its whole environment; None: the demo's own.
            stop_signal: what asks it to end.
            orphaned_signal: what it is sent if the demo dies without asking.
        """
        self.log = log
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                # tied last: changing the user would untie it again
                [*as_user, *_tied_to_us(orphaned_signal), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def ask_to_end(self) -> None:
        """Send it the signal that asks it to end; several can be asked before waiting for any."""
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)

    def await_end(self, *, within_s: float) -> None:
        """Wait until it is gone; what takes longer is killed."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self, lines: int = 5) -> str:
        """Return the end of what it said, for an error that concerns it."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def run_to_end(
    command: Sequence[str | Path], *, called: str, environment: Mapping[str, str]
) -> None:
    """Run a command of ours to its end.

    Args:
        command: the program and its arguments.
        called: what an error calls it.
        environment: its whole environment.

    Raises:
        SetupError: it failed; the message is what it said last.
    """
    try:
        subprocess.run(  # noqa: S603 - our own commands
            [*map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_COMMAND_WITHIN_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        raise ended(called, f"ended with {error.returncode}", said) from error
    except subprocess.TimeoutExpired as error:
        raise ended(called, f"took over {error.timeout:g} s", "") from error


def ended(called: str, how: str, said: str) -> SetupError:
    """Return the error of a process that didn't do its part; it shows the last lines it said."""
    last = "\n".join(said.splitlines()[-5:])
    return SetupError(
        f"`{called}` {how}: {last}",
        hint="What it said names the remedy; without one, please report it.",
    )


def _tied_to_us(orphaned_signal: signal.Signals) -> list[str]:
    setpriv = shutil.which("setpriv")  # util-linux; it becomes the program, pid and all
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", orphaned_signal.name.removeprefix("SIG")]
