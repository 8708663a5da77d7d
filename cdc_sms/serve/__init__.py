"""The HTTP side: health, status, metrics."""
