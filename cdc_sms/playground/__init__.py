"""What a demo or a dry run starts in place of the real things."""
