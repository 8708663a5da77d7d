"""What differs between databases: one file for each kind that is spoken."""
