"""The ledger and the business table, on SQLAlchemy Core."""
