"""MySQL and MariaDB keep the promises of a source, on the servers at hand."""

import pytest
from contracts.source_promises import SourcePromises
from support.binlog_sources import BinlogBusiness
from support.fixtures.binlog_databases import BinlogDatabase


class TestMysql(SourcePromises):
    @pytest.fixture
    def business(self, mysql_database: BinlogDatabase) -> BinlogBusiness:
        return BinlogBusiness(mysql_database)


class TestMariadb(SourcePromises):
    @pytest.fixture
    def business(self, mariadb_database: BinlogDatabase) -> BinlogBusiness:
        return BinlogBusiness(mariadb_database)


class TestMariadb118(SourcePromises):
    @pytest.fixture
    def business(self, mariadb118_database: BinlogDatabase) -> BinlogBusiness:
        return BinlogBusiness(mariadb118_database)
