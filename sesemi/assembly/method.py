"""Methods of runs: from the settings to a method, and the settings that do not go together with it."""

from typing import Any

from sesemi.config import Origins, RunConfig
from sesemi.config.sections import MethodSettings
from sesemi.config.sections.views import STRONG
from sesemi.errors import InputError, did_you_mean
from sesemi.methods import METHODS, Method, WithRotation

_ROTATION_WEIGHT = "rotation_weight"


def hyperparameters(config: MethodSettings) -> dict[str, Any]:
    """Return all hyper-parameters of a run's method: those that were given, and the defaults of its class.

    Raises:
        InputError: The method has no such hyper-parameter.
    """
    defaults = METHODS[config.method].arguments()
    if config.self_supervision == "rotation":
        defaults[_ROTATION_WEIGHT] = 1.0
    for name, value in config.arguments.items():
        if name not in defaults:
            there, close = ", ".join(defaults) or "none", did_you_mean(name, defaults)
            raise InputError(
                f"{config.method} has no such argument",
                setting=f"arguments.{name}",
                value=value,
                cure=f"it has {there}" if close is None else f"{close} it has {there}",
            )
    found = defaults | config.arguments
    # 30 and 30.0 are one value.
    return {
        name: float(value) if isinstance(defaults[name], float) and type(value) is int else value
        for name, value in found.items()
    }


def make(config: MethodSettings) -> Method:
    """Return the method of a run, not yet built.

    Raises:
        InputError: A hyper-parameter is unknown, or has a value that it cannot have.
    """
    arguments = hyperparameters(config)
    rotation_weight = arguments.pop(_ROTATION_WEIGHT, 1.0) if config.self_supervision == "rotation" else None
    try:
        method = METHODS[config.method](**arguments)
        method.check()
        if rotation_weight is not None:
            method = WithRotation(method, rotation_weight)
            method.check()
    except InputError as error:
        raise InputError(
            error.problem, setting=f"arguments.{error.setting}", value=error.value, cure=error.cure
        ) from error
    return method


def made_for(config: RunConfig) -> Method:
    """Return the method of a run, once it is checked against the other settings.

    Raises:
        InputError: See `make`; or the method cannot work with the batches, the promotion or the steps per execution.
    """
    method = make(config)
    if config.promote != "none" and method.students > 1:
        raise InputError(
            f"{config.method} trains one student after the other, and one that has just begun would promote",
            setting="promote",
            value=config.promote,
            cure="leave it out",
        )
    lost = "the teacher, which moves after every update" if method.ema_decay is not None else None
    if method.students > 1:
        lost = "the students, who begin between two updates"
    if config.steps_per_execution > 1 and lost:
        raise InputError(
            f"{config.method} would lose {lost}",
            setting="steps_per_execution",
            value=config.steps_per_execution,
            cure="leave it out",
        )
    method.check_batches(
        labeled=config.labeled_batch_size,
        unlabeled=config.batch_size,
        joint_forward=config.joint_forward,
        regularize_labeled=config.regularize_labeled,
    )
    return method


def without_effect(config: RunConfig, origins: Origins) -> list[str]:
    """Return the settings of strong views that the user gave to a method that has none.

    They are not refused, so that runs of several methods can share their flags.
    """
    views = make(config).views
    if "strong" in (views.labeled, *views.unlabeled, *views.also_labeled):
        return []
    return [name for name in STRONG if origins.get(name) == "user"]
