"""SMS providers over HTTP: one folder each, one table of failures each."""
