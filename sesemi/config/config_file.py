"""``config.json``: the settings of a run, by section, with the origin of every value."""

import json
from pathlib import Path
from typing import Any

from sesemi import reading
from sesemi.config.registry import is_any_size
from sesemi.config.run_config import Origins, RunConfig
from sesemi.config.sections import SECTIONS, SETTINGS
from sesemi.errors import InputError
from sesemi.terminal import one_line


def to_json(config: RunConfig, origins: Origins) -> str:
    """Return the text of ``config.json``."""
    from sesemi import __version__

    settings: dict[str, dict[str, Any]] = {section.SECTION: {} for section in SECTIONS}
    for name, value in config.values().items():
        settings[SETTINGS[name].section][name] = value
    return json.dumps({"sesemi": __version__, "settings": settings, "origins": origins}, indent=2) + "\n"


def from_json(text: str) -> tuple[RunConfig, Origins]:
    """Read the text of ``config.json``; the inverse of `to_json`. Version 0.1, which had no sections, is read too.

    Raises:
        InputError: It is not the text of such a file.
    """
    try:
        return _of_document(reading.checked(reading.json_value(text), _NEEDED))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"not a config.json of this version of sesemi ({one_line(error)})") from error


def from_file(path: str | Path) -> tuple[RunConfig, Origins]:
    """Read ``config.json``.

    Raises:
        FileNotFoundError: There is no such file.
        NotADirectoryError: There is no such folder.
        InputError: It cannot be read, or is not such a file.
    """
    document = reading.json_object(path, _NEEDED, most_mib=_MOST_MIB)
    try:
        return _of_document(document)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _of_document(document: dict[str, Any]) -> tuple[RunConfig, Origins]:
    settings, sections = document["settings"], {section.SECTION for section in SECTIONS}
    if set(settings) == sections and all(isinstance(section, dict) for section in settings.values()):
        settings = {name: value for section in settings.values() for name, value in section.items()}
    if set(settings) != set(SETTINGS):
        others = ", ".join(sorted(set(settings) ^ set(SETTINGS)))
        raise InputError(f"not a config.json of this version of sesemi ({one_line(others)} missing or unknown)")
    return RunConfig(**settings), document["origins"]


def _origins(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(origin, str) for origin in value.values())


_NEEDED: reading.Schema = {"settings": dict, "origins": _origins}
_MOST_MIB = 1


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
        config, origins = from_file(path)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path}: "), setting="config", value=path) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", setting="config", value=path) from error
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
