"""Every setting, its range and where its default comes from. Standard library only."""
