"""What an operator sees and does; commands and console both call these."""
