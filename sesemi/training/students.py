"""`NewStudents`: several networks trained one after the other in one ``fit``, each taught by the one before."""

import random

import keras

from sesemi.distribution import workers
from sesemi.inference import predictions
from sesemi.primitives import layers, losses, schedules


class NewStudents(keras.callbacks.Callback):
    """Callback that starts each new student, taught by the one before.

    Before the first update of each student except the first, its teacher answers for all images; then it is born. All
    that follows from that is weights: the answers, the new student's first weights, which are a function of (seed,
    number), and the optimizer's slots. The slots are 0 again, but the optimizer's count goes on, and with it Adam's
    bias correction. So a run that is resumed knows what was done, and does again what was not yet saved.
    `sesemi.primitives.schedules.student_of` says which student an update belongs to.
    """

    def on_train_begin(self, logs=None):
        """Look up where the run stands."""
        if self.model.steps_per_execution > 1:
            raise ValueError(
                f"NewStudents needs steps_per_execution=1, got {self.model.steps_per_execution}: a student is born "
                "between two updates"
            )
        _initializers(self.model)
        # The host counts from here on: reading a device's counter every step would wait for the step.
        step, number = self.model.optimizer.iterations, self.model.student_number
        self._step, self._number = int(step.numpy()), int(number.numpy())
        network = self.model.classifier
        with self.model.distribute_strategy.scope():
            self._classify = predictions.Compiled(lambda images: losses.softmax(network(network.preprocess(images))))

    def on_train_batch_begin(self, batch, logs=None):
        """Start a new student, if it is time."""
        number = int(schedules.student_of(self._step, self.model.total_steps, self.model.method.students))
        self._step += 1
        if number > self._number:
            self._number = number
            images = self.model.pixels.host_images()
            self.model.method.next_student(workers.from_chief(predictions.probabilities(self._classify, images)))
            start_again(self.model, seed=self.model.seed + 1_000_003 * number)
            self.model.student_number.assign(number)


def start_again(model: keras.Model, *, seed: int) -> None:
    """Give every trained layer of a model, and BatchNorm's averages, first weights; forget the optimizer's slots.

    Args:
        model: Compiled model, its optimizer built.
        seed: Seed of the weights.
    """
    draw = random.Random(seed)
    for variable, initializer in _initializers(model):
        config = initializer.get_config()
        config |= {"seed": draw.randrange(2**31)} if "seed" in config else {}
        variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))
    for variable in model.optimizer.variables:
        if variable.name not in ("iteration", "learning_rate", "step_counter", "dynamic_scale"):
            variable.assign(keras.ops.zeros_like(variable))


def _initializers(model: keras.Model) -> list[tuple[keras.Variable, keras.Initializer]]:
    """Return every trained variable, and BatchNorm's averages, with their initializers.

    Raises:
        ValueError: If a layer does not say how a variable of it begins.
    """
    trained, found = {id(variable) for variable in model.trainable_variables}, []
    for layer in model._flatten_layers(include_self=False):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            if id(variable) in trained or (layer.trainable and variable.name in layers.MOVING_AVERAGES):
                initializer = getattr(layer, f"{variable.name}_initializer", None)
                if initializer is None:
                    raise ValueError(f"{layer.name}: no {variable.name}_initializer, so there can be no new student")
                found.append((variable, initializer))
    return found
