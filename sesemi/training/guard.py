"""Guard against losses that are not finite."""

import math
from collections.abc import Callable

import keras

from sesemi.training import monitor


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raise `NonFiniteLossError`, with the term and the step, before anything of that step can be saved.

    The logs are running means of the epoch, so the first step that is not finite shows at once and stays.

    Args:
        step_of: Function that returns the number of the step that has just ended, from 1; of several steps in one
            execution, the first.
    """

    def __init__(self, step_of: Callable[[], int]):
        super().__init__()
        self._step_of = step_of

    def on_train_batch_end(self, batch, logs=None):
        """Look at every term, and at the total last, because it is never the cause."""
        for name, value in sorted((logs or {}).items(), key=lambda item: item[0] == "loss"):
            # Where no pseudo-label was accepted, none was right or wrong.
            if name != monitor.ACCURACY and not math.isfinite(value):
                first, count = self._step_of(), getattr(self.model, "steps_per_execution", 1)
                where = f"at step {first}" if count == 1 else f"in steps {first} to {first + count - 1}"
                raise NonFiniteLossError(f"the loss term '{name}' became {value} {where}{self._advice()}")

    def _advice(self) -> str:
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        return (
            ""
            if rate is None
            else (f"; most often the steps are too large: `learning_rate` was {float(rate):.3g}, try a tenth of it")
        )
