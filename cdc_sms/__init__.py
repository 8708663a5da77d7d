"""cdc-sms: from a row in a business database to an SMS, by way of the log and Kafka.

A record's way, stage by stage, is the table of contents:

1. ``sources/``: the database's log becomes change events.
2. ``capture/loop.py``: change events go onto the topic; the log is confirmed afterwards.
3. ``envelope/``: what lies on the topic, in Debezium's form.
4. ``kafka/``: the broker.
5. ``deliver/loop.py``: intake, claim, send, route, settle, commit.
6. ``providers/``: the requests themselves, and what each answer means.
7. ``databases/``: the ledger, which decides that nothing is sent twice, and the write-back.

Beside the way: ``operate/`` and ``serve/`` show it, ``runtime/`` puts it together, ``cli/`` is
for people, ``playground/`` stands in for the real things in a demo.
"""

__version__ = "0.1.0"
