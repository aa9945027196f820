"""Completion of a user's values to a whole `RunConfig`: all others come from presets and defaults."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from sesemi.config import checks, presets
from sesemi.config.registry import facts
from sesemi.config.run_config import Origins, RunConfig
from sesemi.config.sections import SETTINGS
from sesemi.config.sources import origin
from sesemi.errors import InputError, did_you_mean

_FIRST: dict[str, Any] = {"method": None, "network": None, "dataset": "digits"}


def resolve(given: dict[str, Any], inherited: Origins | None = None) -> tuple[RunConfig, Origins]:
    """Fill in the settings that the user did not give.

    Args:
        given: Values that the user set, by name of the setting; or ``labels_per_class`` in place of ``labels``.
        inherited: Origins of the given values that come from another run's ``config.json``.

    Returns:
        The configuration, and the origin of the value of every setting.

    Raises:
        InputError: A name is unknown, or a value is of the wrong type or out of range.
    """
    inherited, given = inherited or {}, dict(given)
    per_class = given.pop("labels_per_class", None)
    for name in given:
        if name not in SETTINGS:
            known = f"known are {', '.join(sorted(SETTINGS))}"
            raise InputError(f"unknown setting {name!r}", cure=did_you_mean(name, SETTINGS) or known)
    values = _first(given)
    if per_class is not None:
        given["labels"] = _labels_of_all_classes(per_class, values["dataset"], given.get("labels"))
    origins = {name: "user" if given.get(name) is not None else "default" for name in values}
    if given.get("dataset") is None and values["dataset"] == "folder":
        origins["dataset"] = "default: `data_dir` alone means pictures of your own"
    for name, preset in presets.settings(**values).items():
        if name not in values:
            values[name], origins[name] = preset.value, origin(preset.source)
    own = presets.arguments(values["method"], values["dataset"], values["network"])
    values["arguments"], origins["arguments"] = {name: preset.value for name, preset in own.items()}, "see below"
    origins |= {f"arguments.{name}": origin(preset.source) for name, preset in own.items()}
    for name, value in given.items():
        if name == "arguments":
            values[name] = values[name] | (value or {})
            for argument in value or {}:
                origins[f"arguments.{argument}"] = inherited.get(f"arguments.{argument}", "user")
        elif value is not None:
            values[name], origins[name] = value, inherited.get(name, "user")
    checks.check_use(values, origins)
    _fill_dependent(values, given)
    if values["name"] is None:
        values["name"] = _default_name(values, origins)
    return RunConfig(**values), origins


def _first(given: dict[str, Any]) -> dict[str, Any]:
    """Return method, network and data set, on which the presets depend. A folder alone means one's own pictures."""
    first = _FIRST if given.get("data_dir") is None else _FIRST | {"dataset": "folder"}
    values = {name: default if given.get(name) is None else given[name] for name, default in first.items()}
    checks.check_dataset(values["dataset"])
    values["method"] = values["method"] or presets.method(values["dataset"])
    SETTINGS["method"].check(values["method"])
    gpu = given.get("gpu")
    values["network"] = values["network"] or presets.network(values["method"], values["dataset"], gpu)
    SETTINGS["network"].check(values["network"])
    return values


def _labels_of_all_classes(per_class: int, dataset: str, labels: int | str | None) -> int:
    def error(problem, cure=None):
        return InputError(problem, setting="labels_per_class", value=per_class, cure=cure)

    if labels is not None:
        raise error(f"says the same as `labels={labels}`", cure="leave one of them out")
    if per_class < 1:
        raise error("must be 1 or more")
    classes = facts(dataset).classes
    if classes is None:
        raise error(f"the classes of {dataset} are not known yet", cure="give `labels=N`")
    return per_class * classes


def _fill_dependent(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Fill in defaults that are made of other settings."""
    if values["labels_from"] is not None:
        if given.get("labels") not in (None, "file"):
            raise InputError(
                "the file of `labels_from` says how many", setting="labels", value=given["labels"], cure="leave it out"
            )
        values["labels"] = "file"
    for name in ("epochs", "batch_size"):
        SETTINGS[name].check(values[name])
    for name, part in (("promote_from", 2), ("promote_every", 20)):
        values[name] = max(values["epochs"] // part, 1) if values[name] is None else values[name]
    if values["labeled_batch_size"] is None:
        # Tran 2019 draws as many labeled images as the other branch has views.
        values["labeled_batch_size"] = 6 * values["batch_size"]


def _default_name(values: dict[str, Any], origins: Origins) -> str:
    """Return a name for the run folder: the same for the same command, another for another command."""
    told = ("method", "network", "dataset", "labels", "seed")
    name = "{dataset}-{labels}-{network}-{method}-seed{seed}".format(**values)
    if values["dataset"] == "folder" and isinstance(values["data_dir"], str):
        name = f"{Path(values['data_dir']).resolve().name}-{name}"
    if checks.wants_extra(values["extra"], values["extra_source"]):
        name += f"-extra{values['extra'] or 'all'}"
    name = re.sub(r"[^\w.+=@-]+", "-", name)
    others = {
        name: value
        for name, value in values.items()
        if origins.get(name) == "user" and name not in told and not SETTINGS[name].placement
    }
    others |= {k: v for k, v in values["arguments"].items() if origins[f"arguments.{k}"] == "user"}
    if others:
        name += "-" + hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8]
    return name
