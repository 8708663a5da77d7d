"""Change events from a source onto the topic, confirmed only when Kafka has them."""
