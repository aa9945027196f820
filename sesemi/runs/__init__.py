"""One run folder, from its first line to its report."""
