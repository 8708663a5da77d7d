"""Records what Debezium's connectors write under each of their settings: ``python -m recording``.

The samples that it leaves in ``tests/data/debezium`` are what the intake is tested with; that
folder's README says how to record them anew.
"""
