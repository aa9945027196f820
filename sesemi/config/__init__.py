"""Every setting, its range and where its default comes from. Standard library only."""

from sesemi.config.config_file import from_file, from_json, read_settings, to_json
from sesemi.config.resolving import resolve
from sesemi.config.run_config import Origins, RunConfig

__all__ = ["Origins", "RunConfig", "from_file", "from_json", "read_settings", "resolve", "to_json"]
