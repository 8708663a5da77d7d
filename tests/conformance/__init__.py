"""Debezium and the built-in reader side by side on any SQL file: ``scripts/conformance``.

A fresh database runs the file statement by statement. What it commits is captured by a living
Debezium and by our reader, each to a topic of its own; then the records are compared field by
field, and each key is looked up in its table.
"""
