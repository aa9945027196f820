"""How a weight grows over a run, and how slowly a teacher moves. Numbers or tensors in, float32 out."""

from keras import ops

NAMES = ("none", "sigmoid", "linear", "delayed")


def ramp(name: str, progress, length: float):
    """A factor in [0, 1] for a loss that starts to matter when its targets do.

    Args:
        name: ``none``; ``sigmoid``: ``exp(-5 (1 - x)^2)`` (Laine & Aila 2017); ``linear``: ``x``; ``delayed``: nothing
            in the first sixth of `length`, then linear (Lee 2013: T1 = 100, T2 = 600).
        progress: updates so far / updates of the run, in [0, 1].
        length: the part of the run, in [0, 1], after which the factor is 1; ``x = min(progress / length, 1)``, and
            with 0 there is no ramp.
    """
    progress = ops.cast(progress, "float32")
    if name == "none" or length == 0.0:
        return ops.ones_like(progress)
    x = ops.minimum(progress / length, 1.0)
    if name == "sigmoid":
        return ops.exp(-5.0 * ops.square(1.0 - x))
    if name == "linear":
        return x
    if name == "delayed":
        return ops.maximum(1.2 * x - 0.2, 0.0)
    raise ValueError(f"no ramp {name!r}; choose from {', '.join(NAMES)}")


def ema_decay(step, decay: float, *, warm_up: bool = True):
    """How much of a running average is kept at the update number `step`.

    Args:
        step: 1 for the first update.
        decay: the largest value, in [0, 1].
        warm_up: ``min(1 - 1/(step + 1), decay)``, so that early on it is the plain mean (Tarvainen & Valpola 2017, the
            authors' program); False: always `decay`.
    """
    step = ops.cast(step, "float32")
    return ops.minimum(1.0 - 1.0 / (step + 1.0), decay) if warm_up else ops.full_like(step, decay)
