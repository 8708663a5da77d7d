"""``dlq list``, ``dlq show``, ``dlq edit``, ``dlq replay`` and ``dlq discard``."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
import orjson
from sqlalchemy import Engine

from cdc_sms.cli.acting import REFUSED, ask, opened, print_refused, telling, yes_option
from cdc_sms.cli.shared import (
    Moment,
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    print_table,
    shown,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.config.settings import Sections
from cdc_sms.databases.act_lock import ActLock, only_act
from cdc_sms.errors import ActRefused, SetupError
from cdc_sms.model.override import Override
from cdc_sms.model.segments import count_segments
from cdc_sms.model.state import DeadLetterClass
from cdc_sms.operate.dead_letters import (
    MOST_LOOKED_AT,
    Filters,
    list_dead_letters,
    show_dead_letter,
)
from cdc_sms.operate.letter_acts import Chosen, LettersDone, Plan, carry_out, plan
from cdc_sms.operate.letter_edit import correction, edit_letter
from cdc_sms.operate.letter_standing import DISCARD, REPLAY

R = TypeVar("R")


class Letter(click.ParamType[tuple[int, int]]):
    """Where a dead letter is on its topic: ``P:O``, partition and offset."""

    name = "p:o"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return partition and offset."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+):(\d+)", str(value))
        if found is None:
            self.fail("it has the form partition:offset, as 'dlq list' shows it", param, ctx)
        return int(found[1]), int(found[2])


reveal_option = click.option(
    "--reveal", is_flag=True, help="Show numbers and texts whole; they are masked otherwise."
)


def filter_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add what chooses dead letters, class, code, time and recipient, as one ``filters``."""

    @click.option(
        "--class",
        "dead_letter_class",
        type=click.Choice([str(name) for name in DeadLetterClass]),
        help="Only this class.",
    )
    @click.option("--code", help="Only this failure code, such as invalid_recipient.")
    @click.option("--since", type=Moment(), help="Given up at this time or later: ISO 8601, or 2h.")
    @click.option("--until", type=Moment(), help="Given up before this time: ISO 8601, or 2h.")
    @click.option("--recipient", help="Only to this number, in any usual form.")
    @functools.wraps(command)
    def filtered(
        *arguments: Any,
        dead_letter_class: str | None,
        code: str | None,
        since: datetime | None,
        until: datetime | None,
        recipient: str | None,
        **options: Any,
    ) -> R:
        filters = Filters(
            dead_letter_class=dead_letter_class,
            code=code,
            since=since,
            until=until,
            recipient=recipient,
        )
        return command(*arguments, filters=filters, **options)

    return filtered


@click.group()
def dlq() -> None:
    """Look at dead letters, correct them, replay or discard them.

    Classes: permanent (refused for good), exhausted (all attempts failed), in_doubt (may have
    been sent), unclear (done, but its row is pending again), undecodable (no record of ours).

    Example: cdc-sms dlq list --since 2h

    Next: 'cdc-sms dlq show P:O' for one of them.
    """


@dlq.command(name="list")
@config_option
@filter_options
@click.option("--all", "settled", is_flag=True, help="Also what is settled.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most."
)
@reveal_option
@wait_option
@json_option
def list_command(
    config: Path | None,
    *,
    filters: Filters,
    settled: bool,
    limit: int,
    reveal: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """List dead letters, the newest first.

    They are read from their topic; nothing is changed or committed. What was replayed,
    discarded or sent since is left out unless --all is given. It looks through the newest
    10,000 records of each partition.

    Example: cdc-sms dlq list --class permanent --since 2026-11-24

    Next: 'cdc-sms dlq show P:O', with what stands in the first column.
    """
    sections = load(config, environment())
    with opened(sections) as engine:
        found = patiently(
            lambda: list_dead_letters(
                sections,
                engine,
                filters,
                settled=settled,
                limit=limit,
                reveal=reveal,
                wait_s=wait_s,
            ),
            wait_s=wait_s,
        )
    if found.why_unknown is not None:
        click.echo(f"How they stand is not known: {found.why_unknown}", err=True)
    if as_json:
        print_json(found.letters)
        return
    if not found.letters:
        which = "dead letter" if settled else "dead letter waits"
        click.echo(f"No {which} among the newest {MOST_LOOKED_AT} of each partition.")
        return
    columns = ("letter", "at", "class", "code", "why", "recipient", "message_id", "standing")
    print_table(columns, [[line[name] for name in columns] for line in found.letters])


@dlq.command(name="show")
@click.argument("letter", type=Letter(), metavar="P:O")
@config_option
@reveal_option
@wait_option
@json_option
def show_command(
    letter: tuple[int, int], config: Path | None, *, reveal: bool, wait_s: float, as_json: bool
) -> None:
    """Show one dead letter whole: why it was given up, where it came from, its row.

    P:O is its partition and offset, as 'dlq list' shows it.

    Example: cdc-sms dlq show 3:41 --reveal

    Next: correct the set-up that 'why' names, or the message itself: 'cdc-sms dlq edit'; then
    'cdc-sms dlq replay'.
    """
    sections = load(config, environment())
    partition, offset = letter
    with opened(sections) as engine:
        found = patiently(
            lambda: show_dead_letter(
                sections,
                engine,
                partition=partition,
                offset=offset,
                reveal=reveal,
                wait_s=wait_s,
            ),
            wait_s=wait_s,
        )
    if found is None:
        raise SetupError(
            f"{sections.kafka.dlq} has no record {partition}:{offset}.",
            hint="'cdc-sms dlq list' shows the records that there are.",
        )
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        _print_field(name, value)


@dlq.command()
@click.argument("letter", type=Letter(), metavar="P:O")
@click.option("--recipient", metavar="NUMBER", help="Send it to this number instead.")
@click.option("--text", metavar="TEXT", help="Send this text instead.")
@click.option(
    "--text-file",
    "text_file",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="The same, from a file, or from standard input with -.",
)
@click.option("--sender", metavar="NAME", help="Send it in this name instead.")
@config_option
@wait_option
@json_option
def edit(
    letter: tuple[int, int],
    config: Path | None,
    *,
    recipient: str | None,
    text: str | None,
    text_file: TextIO | None,
    sender: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Correct a dead letter: its next replay sends the correction.

    The row and the letter stay as they are; the ledger keeps the correction, and who made it. A
    command line can be seen by others on the machine: a text may come from a file instead.

    Example: cdc-sms dlq edit 3:41 --recipient +48600100200

    Next: 'cdc-sms dlq replay P:O' sends it.
    """
    if text is not None and text_file is not None:
        raise click.UsageError("Give --text or --text-file, not both.")
    if text_file is not None:
        text = _text_of(text_file)
    sections = load(config, environment())
    override = correction(sections, recipient=recipient, text=text, sender=sender)
    with opened(sections, acts_within_s=wait_s) as engine:
        message = patiently(
            lambda: edit_letter(engine, sections, letter, override, wait_s=wait_s), wait_s=wait_s
        )
    segments = None if text is None else count_segments(text)
    if as_json:
        print_json(
            {
                "letter": f"{letter[0]}:{letter[1]}",
                "message_id": message.id,
                "corrected": Override.from_text(message.override).changed,
                "segments": segments and segments.count,
                "encoding": segments and segments.encoding,
            }
        )
        return
    corrected = ", ".join(Override.from_text(message.override).changed)
    click.echo(f"Corrected in {message.id}: {corrected}.")
    if segments is not None:
        click.echo(f"The text needs {segments.count} segments of {segments.encoding}.")
    click.echo(f"To send it: cdc-sms dlq replay {letter[0]}:{letter[1]}")


def _text_of(file: TextIO) -> str:
    """Return a file's text, without the line's end that editors put there."""
    try:
        return file.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise ActRefused("The file is no text in UTF-8.", hint="Save it as UTF-8.") from error


@dlq.command()
@click.argument("letters", type=Letter(), nargs=-1, metavar="[P:O]...")
@filter_options
@click.option(
    "--second", is_flag=True, help="Also class unclear: sent already, and a second SMS is wanted."
)
@click.option("--dry-run", "dry_run", is_flag=True, help="Show what would be done, do nothing.")
@yes_option
@config_option
@wait_option
@json_option
@click.pass_context
def replay(
    context: click.Context,
    config: Path | None,
    *,
    letters: Sequence[tuple[int, int]],
    filters: Filters,
    second: bool,
    dry_run: bool,
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Send dead letters again: those named, or all that the filters let pass.

    It shows first what would be done, and asks where filters choose or a second SMS would be
    sent. A message goes the way of every other, with fresh attempts and its correction if it
    has one. What was sent, replayed or settled since is left alone, and what may have been sent
    is never replayed: that is for 'in-doubt resolve'. A record in which nothing could be read
    is produced again as it was. Interrupted, it can be given again.

    Example: cdc-sms dlq replay --code invalid_recipient --since 2h --dry-run

    Next: 'cdc-sms dlq list' shows what was given up again.
    """
    act = _Act(
        command=REPLAY,
        chosen=_chosen(letters, filters),
        sections=load(config, environment()),
        second=second,
        yes=yes,
        wait_s=wait_s,
        as_json=as_json,
    )
    context.exit(act.shown() if dry_run else act.done())


@dlq.command()
@click.argument("letters", type=Letter(), nargs=-1, metavar="[P:O]...")
@filter_options
@click.option("--dry-run", "dry_run", is_flag=True, help="Show what would be done, do nothing.")
@yes_option
@config_option
@wait_option
@json_option
@click.pass_context
def discard(
    context: click.Context,
    config: Path | None,
    *,
    letters: Sequence[tuple[int, int]],
    filters: Filters,
    dry_run: bool,
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Settle dead letters for good: those named, or all that the filters let pass.

    Nothing is sent, the record stays on its topic, and 'dlq list' leaves it out. Of class
    unclear, the row's status is put right. What may have been sent is never discarded: that is
    for 'in-doubt resolve'.

    Example: cdc-sms dlq discard 3:41

    Next: 'cdc-sms dlq list' shows what is left.
    """
    act = _Act(
        command=DISCARD,
        chosen=_chosen(letters, filters),
        sections=load(config, environment()),
        second=False,
        yes=yes,
        wait_s=wait_s,
        as_json=as_json,
    )
    context.exit(act.shown() if dry_run else act.done())


def _chosen(letters: Sequence[tuple[int, int]], filters: Filters) -> Chosen:
    if bool(letters) == filters.are_given:
        raise click.UsageError("Give letters (P:O), or at least one filter; not both.")
    if filters.since is not None and filters.since > datetime.now(UTC):
        raise ActRefused("--since is in the future.", hint="Times without a zone are in UTC.")
    return Chosen(tuple(letters), filters)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """A replay or discard as it was given."""

    command: str
    chosen: Chosen
    sections: Sections
    second: bool
    yes: bool
    wait_s: float
    as_json: bool

    def shown(self) -> int:
        """Show what would be done; return the exit code."""
        with opened(self.sections) as engine:
            planned = self._plan(engine)
        if not self.as_json and not self._refuses_the_only_one(planned):
            _print_plan(planned)
            click.echo("Nothing was changed.")
        return self._told(planned, LettersDone(), dry_run=True)

    def done(self) -> int:
        """Show it, ask, and do it; return the exit code.

        All under the lock, so that what was shown is still so when it is done.
        """
        with opened(self.sections, acts_within_s=self.wait_s) as engine, only_act(engine) as lock:
            planned = self._plan(engine)
            if not self.as_json and not self._refuses_the_only_one(planned):
                _print_plan(planned)
            done = LettersDone() if planned.is_empty else self._carried_out(engine, lock, planned)
        if not self.as_json and not planned.is_empty:
            _print_done(planned, done)
        return self._told(planned, done, dry_run=False)

    def _plan(self, engine: Engine) -> Plan:
        return patiently(
            lambda: plan(
                engine,
                self.sections,
                self.chosen,
                command=self.command,
                second=self.second,
                wait_s=self.wait_s,
            ),
            wait_s=self.wait_s,
        )

    def _carried_out(self, engine: Engine, lock: ActLock, planned: Plan) -> LettersDone:
        if not self.chosen.named or planned.seconds:
            ask(_question(planned), yes=self.yes)
        return carry_out(
            engine,
            self.sections,
            lock,
            self.chosen,
            planned,
            wait_s=self.wait_s,
            tell=telling("Done", len(planned.messages)),
        )

    def _refuses_the_only_one(self, planned: Plan) -> bool:
        return len(self.chosen.named) == 1 and bool(planned.refused)

    def _told(self, planned: Plan, done: LettersDone, *, dry_run: bool) -> int:
        """Tell what was left as it is; of letters that were named it is a refusal."""
        refused = [*planned.refused, *done.refused]
        if len(self.chosen.named) == 1 and refused:
            raise ActRefused(refused[0].why, hint=refused[0].hint)
        if self.as_json:
            facts = {**asdict(done), "refused": [asdict(one) for one in refused]}
            print_json({"dry_run": dry_run, "would": planned.as_value(), **facts})
        else:
            print_refused(refused)
        return REFUSED if self.chosen.named and refused else 0


def _question(planned: Plan) -> str:
    if planned.command == DISCARD:
        return "Settle them for good?"
    if planned.seconds:
        return f"{planned.seconds} were sent already: each gets a second SMS. Go on?"
    return "Send them again?"


def _print_plan(planned: Plan) -> None:
    is_replay = planned.command == REPLAY
    rows: list[tuple[str, int]] = [
        ("would be sent" if is_replay else "would be discarded", len(planned.messages)),
        ("of them a SECOND SMS", planned.seconds),
        ("would be produced again" if is_replay else "would be noted", len(planned.records)),
        *((f"left alone: {reason}", count) for reason, count in sorted(planned.left.items())),
    ]
    if any(count for _, count in rows):
        print_table(("what", "letters"), [row for row in rows if row[1]])
    else:
        click.echo("There is no such letter.")


def _print_done(planned: Plan, done: LettersDone) -> None:
    word = "Replayed" if planned.command == REPLAY else "Discarded"
    click.echo(f"{word}: {done.messages + done.records}.")
    if done.left_to_keeper:
        click.echo(
            f"The broker didn't take {done.left_to_keeper} of them in time: deliver brings them "
            "back when they are overdue."
        )


def _print_field(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        click.echo(f"{name:<17} {shown(value)}")
        return
    click.echo(name)
    for inner, content in value.items():
        text = content if isinstance(content, str) else orjson.dumps(content, default=str).decode()
        click.echo(f"  {inner:<28} {text}")
