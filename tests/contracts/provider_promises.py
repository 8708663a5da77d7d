"""What every provider promises, against a server that fails on request.

A provider's test class inherits :class:`ProviderPromises` and gives the two fixtures.
"""

import socket
import time
from collections.abc import Iterator

import pytest
from support.waiting import until

from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Outcome, Sent
from cdc_sms.model.recipient import Recipient, SmsText
from cdc_sms.playground.account import Accepted
from cdc_sms.playground.faults import Rule
from cdc_sms.playground.provider import Simulator
from cdc_sms.providers.base import Balance, Provider, Session

TRANSIENT, PERMANENT, ACCOUNT = (
    FailureClass.TRANSIENT,
    FailureClass.PERMANENT,
    FailureClass.ACCOUNT,
)


def a_message(
    text: str = "Your parcel arrives today", *, number: str = "+48600100200", sender: str = "ACME"
) -> Message:
    """Return a message that the contract allows, unless told otherwise."""
    return Message(
        id="sms/1", recipient=Recipient(number), text=SmsText(text), sender=sender, attempt=1
    )


def class_of(outcome: Outcome | Balance) -> object:
    """Return what tests compare: the failure's class, or the outcome's kind."""
    return outcome.failure_class if isinstance(outcome, Failed) else type(outcome)


class ProviderPromises:
    """Each promise of ``providers/base.py``, kept over a real connection."""

    @pytest.fixture
    def simulator(self) -> Iterator[Simulator]:
        """Return the server, started."""
        raise NotImplementedError

    @pytest.fixture
    def provider(self, simulator: Simulator) -> Provider:
        """Return the provider, pointed at the server."""
        raise NotImplementedError

    @pytest.fixture
    def session(self, provider: Provider) -> Iterator[Session]:
        """Return an open session."""
        session = provider.session()
        yield session
        session.close()

    def test_a_message_is_accepted_and_its_id_returned(
        self, session: Session, simulator: Simulator
    ) -> None:
        outcome = session.send(a_message("Zażółć 😀"), deadline_s=5)

        accepted = simulator.accepted()
        assert outcome == Sent(str(accepted[0].id))
        assert _content(accepted) == [("48600100200", "Zażółć 😀", "ACME")]

    def test_a_session_uses_its_connection_again(
        self, session: Session, simulator: Simulator
    ) -> None:
        for _ in range(3):
            session.send(a_message(), deadline_s=5)

        assert (simulator.requests().received, simulator.requests().connections) == (3, 1)

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            pytest.param(Rule(fault="reset"), InDoubt, id="a reset"),
            pytest.param(Rule(fault="reset", accepts=True), InDoubt, id="a reset, accepted"),
            pytest.param(Rule(fault="html"), InDoubt, id="a page with 200"),
            pytest.param(Rule(fault="html", accepts=True), InDoubt, id="a page, accepted"),
            pytest.param(Rule(fault="truncated", accepts=True), InDoubt, id="half an answer"),
            pytest.param(Rule(fault="status", status=500), InDoubt, id="500"),
            pytest.param(
                Rule(fault="status", status=500, accepts=True), InDoubt, id="500, accepted"
            ),
            pytest.param(Rule(fault="status", status=502), InDoubt, id="502"),
            pytest.param(Rule(fault="status", status=504), InDoubt, id="504"),
            pytest.param(Rule(fault="status", status=408), InDoubt, id="408"),
            pytest.param(Rule(fault="status", status=429), TRANSIENT, id="429"),
            pytest.param(Rule(fault="status", status=503), TRANSIENT, id="503"),
            pytest.param(Rule(fault="status", status=401), ACCOUNT, id="401"),
            pytest.param(Rule(fault="status", status=403), ACCOUNT, id="403"),
            pytest.param(Rule(fault="status", status=404), ACCOUNT, id="404"),
            pytest.param(Rule(fault="status", status=301), ACCOUNT, id="a redirect"),
            pytest.param(Rule(fault="status", status=400), PERMANENT, id="400"),
        ],
    )
    def test_each_fault_of_the_wire_has_its_outcome(
        self, session: Session, simulator: Simulator, rule: Rule, expected: object
    ) -> None:
        simulator.set_rules(rule)

        outcome = session.send(a_message(), deadline_s=5)

        assert class_of(outcome) == expected
        assert len(simulator.accepted()) == int(rule.accepts)

    def test_a_server_that_accepts_and_never_answers_leaves_a_doubt(
        self, session: Session, simulator: Simulator
    ) -> None:
        simulator.set_rules(Rule(fault="hang", accepts=True))

        outcome = session.send(a_message(), deadline_s=0.3)

        assert isinstance(outcome, InDoubt)
        assert outcome.code == "timeout"
        (accepted,) = simulator.accepted()
        assert not accepted.answered

    @pytest.mark.parametrize(
        "rule",
        [
            pytest.param(Rule(fault="hang"), id="nothing comes"),
            pytest.param(Rule(fault="trickle", every_s=0.05), id="a byte comes now and then"),
        ],
    )
    def test_the_deadline_holds_for_the_whole_exchange(
        self, session: Session, simulator: Simulator, rule: Rule
    ) -> None:
        simulator.set_rules(rule)

        started = time.monotonic()
        outcome = session.send(a_message(), deadline_s=0.4)
        took_s = time.monotonic() - started

        assert class_of(outcome) == InDoubt
        assert 0.35 < took_s < 2.0

    def test_a_slow_answer_within_the_deadline_counts(
        self, session: Session, simulator: Simulator
    ) -> None:
        simulator.set_rules(Rule(fault="trickle", every_s=0.001))

        outcome = session.send(a_message(), deadline_s=20)

        assert class_of(outcome) == Sent

    def test_a_refused_connection_is_transient(
        self, session: Session, simulator: Simulator
    ) -> None:
        simulator.outage(refuse_s=30)
        until(lambda: _refuses(simulator), within_s=5, what="refused connections")

        outcome = session.send(a_message(), deadline_s=5)

        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.code) == (TRANSIENT, "connect_failed")

    def test_a_session_goes_on_after_an_outage(
        self, session: Session, simulator: Simulator
    ) -> None:
        session.send(a_message(), deadline_s=5)
        simulator.outage(refuse_s=0.2)
        until(
            lambda: class_of(session.send(a_message(), deadline_s=5)) == TRANSIENT,
            within_s=5,
            what="the outage to begin",
        )

        until(
            lambda: class_of(session.send(a_message(), deadline_s=5)) == Sent,
            within_s=5,
            what="a message that is sent again",
        )

    def test_a_pause_asked_for_is_passed_on(self, session: Session, simulator: Simulator) -> None:
        simulator.set_rules(Rule(fault="status", status=429, retry_after="17"))

        outcome = session.send(a_message(), deadline_s=5)

        assert isinstance(outcome, Failed)
        assert outcome.retry_after_s == 17

    def test_an_unknown_code_is_transient(self, session: Session, simulator: Simulator) -> None:
        simulator.set_rules(Rule(fault="code", code="NEVER_HEARD_OF"))

        outcome = session.send(a_message(), deadline_s=5)

        assert class_of(outcome) == TRANSIENT

    def test_a_rotated_key_is_an_account_failure(
        self, session: Session, simulator: Simulator
    ) -> None:
        simulator.set_key("another")

        outcome = session.send(a_message(), deadline_s=5)

        assert class_of(outcome) == ACCOUNT

    def test_an_account_without_points_is_an_account_failure(
        self, session: Session, simulator: Simulator
    ) -> None:
        simulator.set_balance(0)

        outcome = session.send(a_message(), deadline_s=5)

        assert class_of(outcome) == ACCOUNT

    def test_the_balance_is_told(self, session: Session, simulator: Simulator) -> None:
        simulator.set_balance(1204)

        assert session.balance(deadline_s=5) == Balance(1204)

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            pytest.param(Rule(fault="hang"), TRANSIENT, id="no answer"),
            pytest.param(Rule(fault="status", status=503), TRANSIENT, id="503"),
            pytest.param(Rule(fault="status", status=403), ACCOUNT, id="403"),
        ],
    )
    def test_a_balance_that_is_not_told_is_no_doubt(
        self, session: Session, simulator: Simulator, rule: Rule, expected: object
    ) -> None:
        simulator.set_rules(rule)

        assert class_of(session.balance(deadline_s=0.5)) == expected

    @pytest.mark.parametrize(
        "fault", ["none", "hang", "reset", "html", "truncated", "status", "code"]
    )
    def test_no_outcome_tells_number_or_text(
        self, session: Session, simulator: Simulator, fault: str
    ) -> None:
        simulator.set_rules(Rule.model_validate({"fault": fault, "status": 599, "code": "WHAT"}))

        outcome = session.send(a_message("Secret code 4711"), deadline_s=0.5)

        for secret in ("600100200", "Secret", "4711"):
            assert secret not in repr(outcome)

    def test_a_message_that_check_lets_through_is_accepted(
        self, provider: Provider, session: Session
    ) -> None:
        message = a_message("Ł" * 6 * 67)

        assert provider.check(message) is None
        assert class_of(session.send(message, deadline_s=5)) == Sent

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(a_message(" "), id="no text"),
            pytest.param(a_message("Ł" * (6 * 67 + 1)), id="too long"),
            pytest.param(a_message("a\x00b"), id="a control character"),
            pytest.param(a_message(sender="1234"), id="a sender of digits"),
        ],
    )
    def test_a_message_that_check_refuses_would_be_refused(
        self, provider: Provider, session: Session, message: Message
    ) -> None:
        refused = provider.check(message)

        assert class_of(session.send(message, deadline_s=5)) == PERMANENT
        assert refused is not None
        assert refused.failure_class is PERMANENT


def _content(accepted: list[Accepted]) -> list[tuple[str, str, str | None]]:
    return [(message.number, message.text, message.sender) for message in accepted]


def _refuses(simulator: Simulator) -> bool:
    host, _, port = simulator.url.removeprefix("http://").partition("/")[0].partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0
