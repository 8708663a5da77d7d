"""The broker: topics, producer, consumer, offsets; the only folder that imports its client."""
