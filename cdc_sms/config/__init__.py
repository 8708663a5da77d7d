"""The configuration: typed sections with their defaults and help, and how they are read."""
