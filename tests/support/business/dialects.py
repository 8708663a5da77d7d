"""Which dialect a database is to be spoken to in."""

from support.business.base import Business, Database
from support.business.mysql import MysqlBusiness
from support.business.postgres import PostgresBusiness

SOURCES = ("postgres", "mysql", "mariadb")


def business_of(database: Database) -> Business:
    """Return the application's side of a database, by its address."""
    if database.dsn.startswith("postgresql:"):
        return PostgresBusiness(database)
    return MysqlBusiness(database)
