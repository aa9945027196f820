"""``config.json``: the settings of a run, by section, with the origin of every value."""

import json
from pathlib import Path
from typing import Any

from sesemi.config.registry import is_any_size
from sesemi.config.run_config import Origins, RunConfig
from sesemi.config.sections import SECTIONS, SETTINGS
from sesemi.errors import InputError


def to_json(config: RunConfig, origins: Origins) -> str:
    """Return the text of ``config.json``."""
    from sesemi import __version__

    settings: dict[str, dict[str, Any]] = {section.SECTION: {} for section in SECTIONS}
    for name, value in config.values().items():
        settings[SETTINGS[name].section][name] = value
    return json.dumps({"sesemi": __version__, "settings": settings, "origins": origins}, indent=2) + "\n"


def from_json(text: str) -> tuple[RunConfig, Origins]:
    """Read ``config.json``; the inverse of `to_json`. Files of version 0.1, which have no sections, are read too.

    Raises:
        InputError: It is not the text of such a file.
    """
    try:
        document = json.loads(text)
        settings, origins = document["settings"], document["origins"]
        if isinstance(settings, dict) and set(settings) == {section.SECTION for section in SECTIONS}:
            settings = {name: value for section in settings.values() for name, value in section.items()}
        if not isinstance(settings, dict) or set(settings) != set(SETTINGS) or not isinstance(origins, dict):
            raise KeyError("settings do not match")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not a config.json of this version of sesemi ({error})") from error
    return RunConfig(**settings), origins


def read_settings(path: str | Path, given: dict[str, Any]) -> tuple[dict[str, Any], Origins]:
    """Read the settings of a ``config.json`` and their origins, as `resolve` takes them.

    Settings of the placement are left out, except the folder of one's own pictures. Settings that a flag beside the
    file makes obsolete are left out too.

    Args:
        path: Path of the file.
        given: Values that the user gave beside it. With another method, data set or network, the presets of the old one
            are left out too, and only the values that its user had set remain.

    Raises:
        InputError: The file is missing, or is not such a file.
    """
    try:
        config, origins = from_json(Path(path).read_text())
    except InputError as error:
        raise InputError(str(error), setting="config", value=path) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", setting="config", value=path) from error
    settings = config.identity()
    if is_any_size(config.dataset) and given.get("dataset", config.dataset) == config.dataset:
        # One's own pictures are nowhere else.
        settings["data_dir"] = config.data_dir
    other = {name for name in ("method", "dataset", "network") if given.get(name, settings[name]) != settings[name]}
    if other:
        settings = {
            k: v for k, v in settings.items() if origins.get(k) == "user" or k in ("method", "dataset", "network")
        }
        kept = {k: v for k, v in config.arguments.items() if origins.get(f"arguments.{k}") == "user"}
        settings["arguments"] = {} if "method" in other else kept
    for name in _obsolete(config, given, origins):
        settings.pop(name, None)
    if given.get("self_supervision", config.self_supervision) != config.self_supervision:
        settings["arguments"] = {k: v for k, v in settings["arguments"].items() if k != "rotation_weight"}
    settings = {k: v for k, v in settings.items() if k not in given or k == "arguments"}
    return settings, {k: v for k, v in origins.items() if k in settings or k.startswith("arguments.")}


def _obsolete(config: RunConfig, given: dict[str, Any], origins: Origins) -> set[str]:
    """Return the settings of a file that followed from others, which the user now changes."""
    found = set()
    if "labels_from" in given:
        found |= {"labels"}
    if "labels" in given or "labels_per_class" in given:
        found |= {"labels_from"}
    if "labels_per_class" in given:
        found |= {"labels"}
    if config.labels == "file":
        found |= {"labels"}
    if "epochs" in given:
        found |= {name for name in ("promote_from", "promote_every") if origins.get(name) != "user"}
    return found
