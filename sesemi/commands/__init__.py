"""Commands that a user types, and what they print: one file a sub-command."""
