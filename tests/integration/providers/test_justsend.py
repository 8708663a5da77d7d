"""JustSend v2 against the simulated provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.provider_promises import ProviderPromises, a_message, class_of

from cdc_sms.config.settings import ProviderSettings
from cdc_sms.model.clock import SystemClock
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Sent
from cdc_sms.playground.faults import Rule
from cdc_sms.playground.provider import Simulator
from cdc_sms.providers.justsend.failures import CODES, Verdict
from cdc_sms.providers.justsend.provider import JustSend


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(key="first-key") as simulator:
        yield simulator


def justsend(simulator: Simulator, **changes: object) -> JustSend:
    settings = {"url": simulator.url, "key": "first-key", "sender": "ACME", **changes}
    return JustSend(
        name="justsend", settings=ProviderSettings.model_validate(settings), clock=SystemClock()
    )


class TestJustSend(ProviderPromises):
    @pytest.fixture
    def simulator(self) -> Iterator[Simulator]:
        with Simulator(key="first-key") as simulator:
            yield simulator

    @pytest.fixture
    def provider(self, simulator: Simulator) -> JustSend:
        return justsend(simulator)


@pytest.mark.parametrize("row", CODES, ids=lambda row: row.code)
@pytest.mark.parametrize("error_ids", ["number", "null", "absent"])
def test_every_documented_code_keeps_its_class_over_the_wire(row: object, error_ids: str) -> None:
    code, verdict = getattr(row, "code", ""), getattr(row, "verdict", None)
    with Simulator(key="first-key", error_ids=error_ids) as simulator:  # type: ignore[arg-type]
        simulator.set_rules(Rule(fault="code", code=code))
        session = justsend(simulator).session()

        # With a sender of the row's own nothing depends on our configuration.
        outcome = session.send(a_message(sender="SHOP"), deadline_s=5)
        session.close()

    expected = InDoubt if verdict is Verdict.IN_DOUBT else FailureClass(str(verdict))
    assert class_of(outcome) == expected


def test_a_sender_of_ours_that_is_refused_concerns_the_account(simulator: Simulator) -> None:
    simulator.set_rules(Rule(fault="code", code="INVALID_VALUE", parameter="from"))
    session = justsend(simulator).session()

    outcome = session.send(a_message(sender=""), deadline_s=5)
    session.close()

    assert class_of(outcome) == FailureClass.ACCOUNT


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_answered_by_a_status_is_an_account_failure(status: int) -> None:
    with Simulator(key="another", bad_key_status=status) as simulator:  # type: ignore[arg-type]
        session = justsend(simulator).session()
        outcome = session.send(a_message(), deadline_s=5)
        session.close()

    assert class_of(outcome) == FailureClass.ACCOUNT


def test_a_key_renewed_in_its_file_is_used_with_the_next_message(
    simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("first-key")
    session = justsend(simulator, key=None, key_file=str(file)).session()
    simulator.set_key("second-key")
    before = session.send(a_message(), deadline_s=5)

    file.write_text("second-key")
    after = session.send(a_message(), deadline_s=5)
    session.close()

    assert (class_of(before), class_of(after)) == (FailureClass.ACCOUNT, Sent)


def test_an_address_without_the_api_is_an_account_failure(simulator: Simulator) -> None:
    session = justsend(simulator, url=f"{simulator.url}/wrong").session()

    outcome = session.send(a_message(), deadline_s=5)
    session.close()

    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.code) == (FailureClass.ACCOUNT, "http_404")


def test_a_variant_without_a_sender_sends_none(simulator: Simulator) -> None:
    session = justsend(simulator, variant="ECO", sender=None).session()

    session.send(a_message(sender=""), deadline_s=5)
    session.close()

    (accepted,) = simulator.accepted()
    assert (accepted.variant, accepted.sender) == ("ECO", None)


@pytest.mark.parametrize("double_encode", [True, False])
def test_double_encode_is_sent_where_it_is_configured(
    simulator: Simulator, double_encode: bool
) -> None:
    session = justsend(simulator, double_encode=double_encode).session()

    outcome = session.send(a_message(), deadline_s=5)
    session.close()

    assert class_of(outcome) == Sent
