"""`Classifier`: preprocessing, trunk and class head; every method trains it, and it is exported in the end."""

from pathlib import Path

import keras

from sesemi.errors import InputError
from sesemi.primitives import layers
from sesemi.training import export as exporting
from sesemi.training import preprocess as preprocessing


class Classifier(keras.Model):
    """Trunk with a class head: trunk -> global average -> dropout -> Dense (Glorot-uniform, with bias, in float32).

    Args:
        trunk: Functional Keras model from ``[B, H, W, C]`` float images to a feature map ``[B, h, w, F]``.
        num_classes: Number of classes.
        preprocess: Frozen model from raw pixels to the input of the trunk; default: GCN
            (`sesemi.training.preprocess.build`).
        dropout: Rate before the last layer, in [0, 1).
        synchronized: True lets the replicas of a strategy normalize their images together (BatchNorm).

    The trunk is copied with layers that train faster (`sesemi.primitives.layers`), weights included.
    """

    def __init__(self, trunk, num_classes: int, *, preprocess=None, dropout: float = 0.2, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.dropout_rate, self.synchronized = num_classes, dropout, synchronized
        self.image_shape = trunk.input_shape[1:]
        self.preprocess = preprocess or preprocessing.build(self.image_shape)
        self.trunk = layers.for_training(trunk, synchronized=synchronized)
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.dropout = layers.StepDropout(dropout, name="head_dropout")
        self.head = keras.layers.Dense(num_classes, dtype="float32", name="head")
        self.build((None, *self.image_shape))

    def frozen_copy(self, name: str) -> "Classifier":
        """Return a second classifier with the same weights, which no optimizer sees; preprocessing is shared."""
        how = {"preprocess": self.preprocess, "dropout": self.dropout_rate, "synchronized": self.synchronized}
        copy = Classifier(self.trunk, self.num_classes, **how, name=name)
        copy.head.set_weights(self.head.get_weights())
        copy.trainable = False
        return copy

    def plain(self) -> keras.Model:
        """Return a model of stock Keras layers from raw pixels to probabilities; see `sesemi.training.export.build`."""
        return exporting.build(self)

    def save(self, filepath, overwrite: bool = True) -> None:
        """Write `plain` as a ``.keras`` file, which `keras.models.load_model` reads without any import of ours.

        Args:
            filepath: Path of the file, which ends with ``.keras``.
            overwrite: False refuses a file that is there already.

        Raises:
            InputError: The path ends with something else, or it is there already.
            sesemi.files.WriteError: The disk refuses.
        """
        path = Path(filepath)
        if path.suffix != ".keras":
            raise InputError("must end with .keras", setting="filepath", value=filepath)
        if not overwrite and path.exists():
            raise InputError("is there already", setting="filepath", value=filepath, cure="give another name")
        exporting.save(self.plain(), path)

    def export(self, filepath, *args, **kwargs) -> None:
        """Write `plain` for serving, as `keras.Model.export` does: by default a SavedModel of TensorFlow."""
        self.plain().export(filepath, *args, **kwargs)

    def get_config(self):
        """Refuse: what is not plain Keras cannot be built again from a config.

        Raises:
            NotImplementedError: The message says what to call.
        """
        raise NotImplementedError("call its save(path), which writes a plain Keras model, or save_weights(path)")

    def build(self, input_shape):
        """Create the weights of the head."""
        self.head.build((None, self.trunk.output_shape[-1]))
        self.built = True

    def features(self, prepared, training: bool = False):
        """Return the trunk's averaged feature map, ``[B, F]``, of preprocessed images."""
        return self.pool(self.trunk(prepared, training=training))

    def classify(self, features, training: bool = False):
        """Return class logits ``[B, C]`` of the trunk's features, in float32 whatever the compute dtype is."""
        return self.head(self.dropout(features, training=training))

    def call(self, prepared, training: bool = False):
        """Return class logits ``[B, C]`` of preprocessed images ``[B, H, W, C]``, in float32."""
        return self.classify(self.features(prepared, training=training), training=training)
