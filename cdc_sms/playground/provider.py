"""A provider to test against: JustSend v2 on a local port, with faults on request and a record.

For demos, tests and dry runs of one's own set-up; it sends nothing. :class:`Simulator` runs it in
this process, ``cdc-sms simulate`` in one of its own, and :class:`SimulatorControl` steers that.

The API lies below ``/api/rest``, as at the provider. ``/_control/`` is for the tester and asks
for no key: keep the port on loopback. It answers

- ``GET requests``: how many arrived, are being answered now, were answered, were accepted;
- ``GET record?since=N``: what was accepted, from the N-th on;
- ``GET|PUT rules``: the fault rules (``faults.py``);
- ``PUT key``, ``PUT balance``: another key, other points;
- ``POST outage``: 503 for a time, then refused connections for a time.
"""

import asyncio
import http.client
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import orjson

from cdc_sms.errors import ConfigurationError, SetupError
from cdc_sms.model.masking import masked_number, masked_text
from cdc_sms.playground.account import Accepted, Account, Reply, Request, bare, normalised
from cdc_sms.playground.faults import Rule, Rules, magic_rule, read_rules
from cdc_sms.playground.wire import BadRequest, HttpRequest, read_request, write_answer

logger = logging.getLogger(__name__)

API = "/api/rest"
CONTROL = "/_control/"

T = TypeVar("T")

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends a reset."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How the API's requests stand; the control's own are not counted.

    Attributes:
        received: since the start.
        in_flight: arrived and neither answered nor given up by the client.
        answered: whose answer was handed to the connection whole.
        accepted: that became a message.
        connections: open now.
    """

    received: int
    in_flight: int
    answered: int
    accepted: int
    connections: int


class Simulator:
    """The simulated provider, in a thread of this process.

    Thread: any; what it holds is touched in its own thread only.
    """

    def __init__(
        self,
        *,
        key: str = "simulator",
        host: str = "127.0.0.1",
        port: int = 0,
        balance: int = 1_000_000,
        price: int | None = None,
        delay_s: float = 0.0,
        rules: Sequence[Rule] = (),
        seed: int = 0,
        record: Path | None = None,
        magic_words: bool = False,
        max_segments: int = 6,
        bad_key_status: Literal[200, 401, 403] = 200,
        error_ids: Literal["number", "null", "absent"] = "number",
    ) -> None:
        """Set it up; :meth:`start`, or ``with``, opens the port.

        Args:
            key: the ``App-Key`` that is let in.
            host: the address to listen on.
            port: 0 takes a free one.
            balance: points to start with.
            price: points of one segment; None: as the provider's variants cost.
            delay_s: the time every answer takes; seconds.
            rules: faults, in order of precedence.
            seed: of the rules' randomness.
            record: a file that each acceptance is appended to, as one JSON line.
            magic_words: whether a text may carry its own fault (``faults.magic_rule``).
            max_segments: a longer text is refused.
            bad_key_status: how a wrong key is answered: 200 with the envelope, or a bare status.
            error_ids: how ``errorId`` is written in answers that are not OK.
        """
        account = Account(
            key=key,
            balance=balance,
            price=price,
            max_segments=max_segments,
            # After a restart the ids go on, so that one record file never has one twice.
            first_id=int(time.time() * 1000),
            bad_key_status=bad_key_status,
            error_ids=error_ids,
        )
        self._desk = _Desk(
            account,
            rules=rules,
            seed=seed,
            delay_s=delay_s,
            record=record,
            magic_words=magic_words,
        )
        self._host = host
        self._port = port
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread

    @property
    def url(self) -> str:
        """Return what ``[providers.<name>] url`` is to be."""
        return f"http://{self._host}:{self._port}{API}"

    @property
    def in_flight(self) -> int:
        """Return how many requests are being answered now."""
        return self.requests().in_flight

    def start(self) -> None:
        """Open the record and the port.

        Raises:
            SetupError: one of them can't be opened; nothing is left behind.
        """
        self._desk.open_record()
        try:
            listener = _bound(self._host, self._port)
        except OSError as error:
            self._desk.close_record()
            raise SetupError(
                f"{self._host}:{self._port} can't be listened on: {error.strerror}.",
                hint="Choose another --port, or end what uses this one.",
            ) from error
        self._port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator")
        self._thread.start()
        self._call(lambda: self._desk.listen(listener))

    def stop(self) -> None:
        """Close the port and every connection, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._desk.end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def accepted(self) -> list[Accepted]:
        """Return every message accepted so far, in order."""
        return self._call(self._desk.accepted)

    def requests(self) -> Requests:
        """Return how the requests stand."""
        return self._call(self._desk.requests)

    def set_rules(self, *rules: Rule) -> None:
        """Replace the fault rules; none: everything is answered as the contract says."""
        self._call(lambda: self._desk.set_rules(rules))

    def set_key(self, key: str) -> None:
        """Rotate the key: from now on only this one is let in."""
        self._call(lambda: self._desk.set_key(key))

    def set_balance(self, points: int) -> None:
        """Set the account's points."""
        self._call(lambda: self._desk.set_balance(points))

    def outage(self, *, unavailable_s: float = 0.0, refuse_s: float = 0.0) -> None:
        """Be away: answer 503 for a time, then refuse connections for a time, then be back.

        Args:
            unavailable_s: how long 503 is answered; seconds.
            refuse_s: how long connections are refused after that; seconds.
        """
        self._call(lambda: self._desk.outage(unavailable_s, refuse_s))

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


class _Desk:
    """Takes requests, looks for a fault, lets the account answer, keeps the record.

    Thread: the simulator's, all of it.
    """

    def __init__(
        self,
        account: Account,
        *,
        rules: Sequence[Rule],
        seed: int,
        delay_s: float,
        record: Path | None,
        magic_words: bool,
    ) -> None:
        self._account = account
        self._seed = seed
        self._delay_s = delay_s
        self._magic_words = magic_words
        self._rules = Rules(rules, seed=seed, now_s=time.monotonic())
        self._record_path = record
        self._record: BinaryIO | None = None
        self._listener: socket.socket | None = None
        self._joining: set[asyncio.Task[Any]] = set()
        self._address = ("", 0)
        self._connections: set[_Connection] = set()
        self._unavailable_until_s = 0.0
        self._returning: set[asyncio.Task[None]] = set()
        self._received = self._answered = self._in_flight = 0

    def open_record(self) -> None:
        """Open the record's file, where there is one.

        Raises:
            SetupError: it can't be written.
        """
        if self._record_path is not None:
            self._record = _opened(self._record_path)

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a bound socket.

        Not by asyncio's own server: that one leaks a connection which arrives in the turn in
        which it is closed.
        """
        self._address = listener.getsockname()[:2]
        listener.setblocking(False)
        listener.listen(1024)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: _Connection(self), client))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def _refuse(self) -> None:
        """Listen no more, and end the connections."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for connection in tuple(self._connections):
            if not connection.is_control:
                connection.reset()

    async def end(self) -> None:
        """Close the port, the connections and the record."""
        for task in self._returning:
            task.cancel()
        await asyncio.gather(*self._returning, return_exceptions=True)
        self._refuse()
        await asyncio.gather(*self._joining)
        for connection in tuple(self._connections):
            connection.reset()
        self.close_record()

    def close_record(self) -> None:
        """Close the record's file, where there is one."""
        if self._record is not None:
            self._record.close()

    def accepted(self) -> list[Accepted]:
        """Return the messages; the caller's own list."""
        return list(self._account.messages.values())

    def requests(self) -> Requests:
        """Return the counts."""
        return Requests(
            received=self._received,
            in_flight=self._in_flight,
            answered=self._answered,
            accepted=len(self._account.messages),
            connections=len(self._connections),
        )

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in force."""
        return self._rules.rules

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Replace the rules."""
        self._rules = Rules(rules, seed=self._seed, now_s=time.monotonic())
        logger.info("rules.set", extra={"rules": [rule.name for rule in self._rules.rules]})

    def set_key(self, key: str) -> None:
        """Let in another key only."""
        self._account.key = key
        logger.info("key.rotated")

    def set_balance(self, points: int) -> None:
        """Set the points."""
        self._account.balance = points
        logger.info("balance.set", extra={"points": points})

    def outage(self, unavailable_s: float, refuse_s: float) -> None:
        """Answer 503 for a time, then refuse connections for a time; one still going on ends."""
        for earlier in self._returning:
            earlier.cancel()
        self._unavailable_until_s = time.monotonic() + unavailable_s
        logger.info("outage.started", extra={"unavailable_s": unavailable_s, "refuse_s": refuse_s})
        task = asyncio.get_running_loop().create_task(self._away(unavailable_s, refuse_s))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _away(self, unavailable_s: float, refuse_s: float) -> None:
        await asyncio.sleep(unavailable_s)
        if refuse_s > 0:
            self._refuse()
            # Bound and not listening: connections are refused, and nobody else gets the port.
            with _bound(*self._address) as holder:
                try:
                    await asyncio.sleep(refuse_s)
                finally:
                    self.listen(holder.dup())
        logger.info("outage.ended")

    def joined(self, connection: "_Connection") -> None:
        """Note a new connection; one that was taken too late is refused."""
        self._connections.add(connection)
        if self._listener is None:
            connection.reset()

    def left(self, connection: "_Connection") -> None:
        """Note that a connection is gone, and that nobody waits for its answer any more."""
        self._connections.discard(connection)
        self._settle(connection)

    def take(self, connection: "_Connection", request: HttpRequest) -> None:
        """Take one request; the connection hears of it when it is answered."""
        if request.target.startswith(CONTROL):
            connection.is_control = True
            connection.answer(_controlled(self, request))
            return
        self._received += 1
        self._in_flight += 1
        connection.awaits_answer = True
        asked = Request(
            method=request.method,
            path=request.target.removeprefix(API) if request.target.startswith(API) else "",
            key=request.headers.get("app-key", ""),
            content_type=request.headers.get("content-type", "").lower(),
            body=request.body,
        )
        rule = self._rule_for(asked)
        delay_s = self._delay_s + (0.0 if rule is None else rule.delay_s)
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._act, connection, asked, rule)
        else:
            self._act(connection, asked, rule)

    def _rule_for(self, asked: Request) -> Rule | None:
        now_s = time.monotonic()
        if now_s < self._unavailable_until_s:
            return _UNAVAILABLE
        if asked.path == "/v2/payment/points":
            return self._rules.pick("balance", "", "", now_s=now_s)
        if asked.path != "/v2/message/send":
            return self._rules.pick("other", "", "", now_s=now_s)
        number, text = _number_and_text(asked.body)
        magic = magic_rule(text) if self._magic_words else None
        return magic or self._rules.pick("send", number, text, now_s=now_s)

    def _act(self, connection: "_Connection", asked: Request, rule: Rule | None) -> None:
        """Answer, or fail as the rule says; a client that has gone stops nothing."""
        if rule is None:
            self._reply(connection, self._answer_of(asked, None))
            return
        if rule.key is not None:
            self.set_key(rule.key)
        truth = None
        if rule.accepts or rule.fault in {"none", "trickle"}:
            truth = self._answer_of(asked, rule.name)
        match rule.fault:
            case "hang":
                pass
            case "reset":
                connection.reset()
            case "truncated":
                self._settle(connection)
                connection.answer_cut(truth or self._account.refuse("INTERNAL_ERROR"))
            case "none" | "trickle":
                assert truth is not None
                self._reply(connection, truth, every_s=_pace(rule))
            case "html" | "status" | "code":
                self._reply(connection, self._instead(rule))

    def _instead(self, rule: Rule) -> Reply:
        """Return what is answered in the place of the truth."""
        if rule.fault == "code":
            reply = self._account.refuse(rule.code, rule.parameter)
        else:
            reply = bare(rule.status if rule.fault == "status" else 200)
        return _with_retry_after(reply, rule)

    def _answer_of(self, asked: Request, rule_name: str | None) -> Reply:
        reply = self._account.answer(asked)
        if reply.accepted_id is not None:
            message = self._account.messages[reply.accepted_id]
            message.rule = rule_name
            self._write({"event": "accepted", **asdict(message)})
            if logger.isEnabledFor(logging.INFO):
                logger.info("message.accepted", extra=_masked(message))
        return reply

    def _reply(
        self, connection: "_Connection", reply: Reply, *, every_s: float | None = None
    ) -> None:
        if connection.is_open and every_s is not None:
            connection.trickle(reply, every_s, lambda: self._delivered(connection, reply))
        elif connection.is_open:
            self._delivered(connection, reply)
            connection.answer(reply)

    def _delivered(self, connection: "_Connection", reply: Reply) -> None:
        self._answered += 1
        self._settle(connection)
        if reply.accepted_id is not None:
            self._account.messages[reply.accepted_id].answered = True
            self._write({"event": "answered", "id": reply.accepted_id})

    def _settle(self, connection: "_Connection") -> None:
        if connection.awaits_answer:
            connection.awaits_answer = False
            self._in_flight -= 1

    def _write(self, entry: Mapping[str, object]) -> None:
        if self._record is not None:
            self._record.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            self._record.flush()


class _Connection(asyncio.Protocol):
    """One connection: one request after the other, in order.

    Thread: the simulator's.
    """

    def __init__(self, desk: _Desk) -> None:
        self.is_control = False
        self.awaits_answer = False
        self._desk = desk
        self._buffer = bytearray()
        self._is_busy = False
        self._keeps_alive = True
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Say whether an answer can still be written."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the desk; asyncio has set TCP_NODELAY."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._desk.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the desk, however it ended."""
        del exc
        self._transport = None
        self._desk.left(self)

    def data_received(self, data: bytes) -> None:
        """Collect, and hand on each request that is whole."""
        self._buffer += data
        self._next()

    def answer(self, reply: Reply) -> None:
        """Write an answer whole, then look for the next request."""
        self._write(self._bytes_of(reply))
        self._done()

    def answer_cut(self, reply: Reply) -> None:
        """Write an answer up to the middle of its body, then end the connection."""
        self._write(self._bytes_of(reply)[: -max(len(reply.body) // 2, 1)])
        self._keeps_alive = False
        self._done()

    def trickle(self, reply: Reply, every_s: float, done: Callable[[], None]) -> None:
        """Write an answer byte by byte; ``done`` is called after the last one."""
        loop = asyncio.get_running_loop()
        left = memoryview(self._bytes_of(reply))

        def one_more(position: int) -> None:
            if not self.is_open:
                return
            self._write(left[position : position + 1])
            if position + 1 < len(left):
                loop.call_later(every_s, one_more, position + 1)
            else:
                done()
                self._done()

        one_more(0)

    def reset(self) -> None:
        """End the connection with a reset instead of an orderly close."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _next(self) -> None:
        while not self._is_busy and self._keeps_alive and self._buffer:
            try:
                request = read_request(self._buffer)
            except BadRequest as error:
                self._keeps_alive = False
                self.answer(bare(error.status))
                return
            if request is None:
                return
            del self._buffer[: request.length]
            self._is_busy = True
            self._keeps_alive = request.keeps_alive
            self._desk.take(self, request)

    def _done(self) -> None:
        self._is_busy = False
        if not self._keeps_alive and self._transport is not None:
            self._transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._next)

    def _bytes_of(self, reply: Reply) -> bytes:
        return write_answer(
            reply.status,
            reply.body,
            content_type=reply.content_type,
            headers=reply.headers,
            keeps_alive=self._keeps_alive,
        )

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is not None:
            self._transport.write(data)


class SimulatorControl:
    """Steers and reads a simulator in another process.

    One connection, kept: it also works while the simulator refuses new ones.

    Thread: one owner.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        """Name the simulator.

        Args:
            url: any address of it; only host and port are used.
            timeout_s: how long one answer may take; seconds.
        """
        where = urlsplit(url)
        self._http = http.client.HTTPConnection(
            where.hostname or "127.0.0.1", where.port, timeout=timeout_s
        )

    def requests(self) -> Requests:
        """Return how the requests stand."""
        return Requests(**self._ask("GET", "requests"))

    def accepted(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return what was accepted, as the record writes it, without the first ``since``."""
        found: list[dict[str, Any]] = self._ask("GET", f"record?since={since}")["accepted"]
        return found

    def set_rules(self, *rules: Rule) -> None:
        """Replace the fault rules."""
        self._ask("PUT", "rules", {"rules": [rule.model_dump() for rule in rules]})

    def set_key(self, key: str) -> None:
        """Rotate the key."""
        self._ask("PUT", "key", {"key": key})

    def set_balance(self, points: int) -> None:
        """Set the account's points."""
        self._ask("PUT", "balance", {"points": points})

    def outage(self, *, unavailable_s: float = 0.0, refuse_s: float = 0.0) -> None:
        """Be away: 503 for a time, then refused connections for a time; seconds."""
        self._ask("POST", "outage", {"unavailable_s": unavailable_s, "refuse_s": refuse_s})

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, method: str, what: str, values: Mapping[str, object] | None = None) -> Any:
        """Ask once.

        Raises:
            OSError: nobody answers.
            ConfigurationError: the simulator doesn't understand the values.
        """
        body = None if values is None else orjson.dumps(values)
        try:
            self._http.request(method, f"{CONTROL}{what}", body=body)
            answer = self._http.getresponse()
            found = orjson.loads(answer.read())
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            self._http.close()
            raise ConnectionError("the simulator did not answer") from error
        if answer.status != 200:
            raise ConfigurationError(found["error"], hint=found["hint"])
        return found


_UNAVAILABLE = Rule(name="outage", fault="status", status=503)


def _controlled(desk: _Desk, request: HttpRequest) -> Reply:
    """Answer the tester."""
    try:
        values = orjson.loads(request.body or b"{}")
        found = _control(desk, request, values if isinstance(values, dict) else {})
    except ConfigurationError as error:
        return _json(400, {"error": error.message, "hint": error.hint})
    except (KeyError, TypeError, ValueError):
        return _json(
            400,
            {"error": "the values were not understood.", "hint": "See cdc-sms simulate --help."},
        )
    return _json(200, found)


def _control(desk: _Desk, request: HttpRequest, values: Mapping[str, Any]) -> object:
    match request.method, request.target.removeprefix(CONTROL):
        case "GET", "requests":
            return asdict(desk.requests())
        case "GET", "record":
            since = int(parse_qs(request.query).get("since", ["0"])[0])
            return {"accepted": [asdict(message) for message in desk.accepted()[since:]]}
        case "GET", "rules":
            return {"rules": [rule.model_dump(exclude_defaults=True) for rule in desk.rules()]}
        case "PUT", "rules":
            desk.set_rules(read_rules(values["rules"]))
        case "PUT", "key":
            desk.set_key(str(values["key"]))
        case "PUT", "balance":
            desk.set_balance(int(values["points"]))
        case "POST", "outage":
            desk.outage(float(values.get("unavailable_s", 0)), float(values.get("refuse_s", 0)))
        case _:
            raise ConfigurationError(
                f"there is no {request.method} {request.target}.",
                hint="There are requests, record, rules, key, balance and outage.",
            )
    return {}


def _json(status: int, values: object) -> Reply:
    return Reply(status, orjson.dumps(values))


def _with_retry_after(reply: Reply, rule: Rule) -> Reply:
    if rule.retry_after is None:
        return reply
    return Reply(reply.status, reply.body, reply.content_type, {"Retry-After": rule.retry_after})


def _pace(rule: Rule) -> float | None:
    return rule.every_s if rule.fault == "trickle" else None


def _number_and_text(body: bytes) -> tuple[str, str]:
    """Return what rules look at; empty where the body is none of the contract's."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(fields, dict):
        return "", ""
    number, text = fields.get("to"), fields.get("message")
    number = number if isinstance(number, str) else ""
    return normalised(number) or number, text if isinstance(text, str) else ""


def _masked(message: Accepted) -> dict[str, object]:
    return {
        "provider_message_id": message.id,
        "recipient": masked_number(message.number),
        "body": masked_text(message.text),
        "sender": message.sender,
        "segments": message.segments,
        "points": message.points,
        "rule": message.rule,
    }


def _opened(record: Path) -> BinaryIO:
    try:
        return record.open("ab")
    except OSError as error:
        raise SetupError(
            f"the record {str(record)!r} can't be written: {error.strerror}.",
            hint="Let --record name a file in a folder that this user may write to.",
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
