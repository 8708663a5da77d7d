"""The record's wire format: Debezium's change event in JSON, pure."""
