"""``cdc-sms simulate`` as a process."""

from pathlib import Path

import orjson
import requests
from support.commands import Commands
from support.waiting import until

KEY = {"App-Key": "simulator"}


def send(url: str, text: str = "Secret code 4711", number: str = "48600100200") -> str:
    fields = {"to": number, "from": "ACME", "message": text, "bulkVariant": "PRO"}
    answer = requests.post(f"{url}/v2/message/send", json=fields, headers=KEY, timeout=5).json()
    return str(answer["responseCode"])


def test_it_says_where_it_is_and_ends_in_order(cdc_sms: Commands) -> None:
    command = cdc_sms("simulate", "--port", "0")

    url = command.await_line(r'url = "(http://[^"]+)"')[1]
    code = send(url)
    command.interrupt()

    assert code == "OK"
    assert command.wait(within_s=10) == 0
    assert "Accepted 1 messages in 1 requests." in command.output


def test_it_logs_each_message_masked(cdc_sms: Commands) -> None:
    command = cdc_sms("simulate", "--port", "0", "--json")
    url = orjson.loads(command.await_line(r"(\{.*\"url\".*\})")[1])["url"]

    send(url)

    line = orjson.loads(command.await_line(r"(\{.*message\.accepted.*\})")[1])
    assert line["recipient"] == "********200"
    assert "4711" not in command.errors + command.output
    assert "600100200" not in command.errors + command.output


def test_it_takes_rules_and_keeps_a_record(cdc_sms: Commands, tmp_path: Path) -> None:
    rules, record = tmp_path / "rules.toml", tmp_path / "record.jsonl"
    rules.write_text('[[rules]]\nnumber = "48601.*"\ncode = "NUMBER_ON_BLACK_LIST"\n')
    command = cdc_sms(
        "simulate", "--port", "0", "--rules", str(rules), "--record", str(record), "--price", "1"
    )
    url = command.await_line(r'url = "(http://[^"]+)"')[1]

    codes = [send(url, number="48601100200"), send(url)]

    assert codes == ["NUMBER_ON_BLACK_LIST", "OK"]
    until(lambda: record.read_bytes().count(b"\n") == 2, within_s=5, what="the record")
    assert orjson.loads(record.read_bytes().splitlines()[0])["points"] == 1


def test_rules_that_are_none_end_it_with_a_remedy(cdc_sms: Commands, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nfault = "explode"\n')

    command = cdc_sms("simulate", "--port", "0", "--rules", str(rules))

    assert command.wait(within_s=10) == 2
    assert "To do:" in command.errors
    assert "Traceback" not in command.errors
