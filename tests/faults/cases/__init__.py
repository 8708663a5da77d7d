"""The cases, by what is broken."""
