"""What a user types and what is printed: one file a sub-command."""
