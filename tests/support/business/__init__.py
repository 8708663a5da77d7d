"""The application's side of a flow: its database, in the SQL of each dialect."""
