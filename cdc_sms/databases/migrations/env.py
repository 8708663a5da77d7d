"""Alembic's entry: runs the steps on the connection that it was handed."""

from alembic import context

from cdc_sms.databases.version import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema=context.config.attributes["schema"],
    # elsewhere a table that is made commits what is under way
    transactional_ddl=connection.dialect.name == "postgresql",
)
with context.begin_transaction():
    context.run_migrations()
