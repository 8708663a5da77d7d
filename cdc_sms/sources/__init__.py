"""The databases' logs, read into change events: one folder each."""
