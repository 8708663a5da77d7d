"""PostgreSQL's WAL by logical replication, decoded by pgoutput."""
