"""What the roles say of themselves: metrics and logs."""
