"""The benchmarks' load, made by the server itself: the client's way is not what is measured."""

from typing import LiteralString

from support.business.base import Business, Session

_SMS_POSTGRES: LiteralString = """
DO $$ BEGIN
    FOR number IN 1..%s LOOP
        INSERT INTO sms (phone, body, status)
        SELECT '+48600' || lpad(g::text, 6, '0'), 'Your order ' || g || ' is ready', '%s'
        FROM generate_series(1, %s) g;
        COMMIT;
    END LOOP;
END $$
"""

_OTHER_POSTGRES: LiteralString = """
DO $$ BEGIN
    FOR number IN 1..%s LOOP
        INSERT INTO other (customer, note) VALUES (number, repeat('x', 100));
        COMMIT;
    END LOOP;
END $$
"""

_SMS_BINLOG: LiteralString = """
CREATE PROCEDURE fill_sms(transactions int, wanted int, word varchar(20))
BEGIN
    WHILE transactions > 0 DO
        INSERT INTO sms (phone, body, status)
        WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < wanted)
        SELECT concat('+48600', lpad(n, 6, '0')), concat('Your order ', n, ' is ready'), word
        FROM g;
        SET transactions = transactions - 1;
    END WHILE;
END
"""

_OTHER_BINLOG: LiteralString = """
CREATE PROCEDURE fill_other(transactions int)
BEGIN
    WHILE transactions > 0 DO
        INSERT INTO other (customer, note) VALUES (transactions, repeat('x', 100));
        SET transactions = transactions - 1;
    END WHILE;
END
"""

_HASTE: tuple[LiteralString, ...] = (
    "SET GLOBAL sync_binlog = 0",
    "SET GLOBAL innodb_flush_log_at_trx_commit = 2",
)
"""The disk is not what is measured."""


def fill(business: Business, transactions: int, *, rows: int, status: str) -> None:
    """Insert rows into ``sms``, so many a transaction."""
    with business.session(commits=True) as session:
        if business.source == "postgres":
            session.execute("SET synchronous_commit = off")
            session.execute(_sql(_SMS_POSTGRES, transactions, status, rows))
            return
        _hurry(session)
        limit = (
            "max_recursive_iterations"
            if business.source == "mariadb"
            else "cte_max_recursion_depth"
        )
        session.execute(_sql("SET SESSION %s = %s", limit, rows + 1))
        session.execute("DROP PROCEDURE IF EXISTS fill_sms")
        session.execute(_SMS_BINLOG)
        session.execute("CALL fill_sms(%s, %s, %s)", transactions, rows, status)


def fill_other(business: Business, transactions: int) -> None:
    """Insert rows into a table that nobody captures, one a transaction."""
    with business.session(commits=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS other (customer int, note varchar(200))")
        if business.source == "postgres":
            session.execute("SET synchronous_commit = off")
            session.execute(_sql(_OTHER_POSTGRES, transactions))
            return
        _hurry(session)
        session.execute("DROP PROCEDURE IF EXISTS fill_other")
        session.execute(_OTHER_BINLOG)
        session.execute("CALL fill_other(%s)", transactions)


def fill_huge(business: Business, *, megabytes: int) -> None:
    """Insert so much into a table that nobody captures, in one transaction."""
    with business.session() as session:
        session.execute(_sql("CREATE TABLE IF NOT EXISTS huge (data %s)", business.text))
        for _ in range(megabytes):
            session.execute("INSERT INTO huge VALUES (repeat('x', 1000000))")
        session.commit()


def _hurry(session: Session) -> None:
    for statement in _HASTE:
        session.execute(statement)


def _sql(text: LiteralString, *values: object) -> LiteralString:
    """Fill in what no parameter can stand for; none of it comes from outside."""
    filled: LiteralString = text % values
    return filled
