"""Exported classifier: stock Keras layers, raw pixels in, class probabilities out."""

from pathlib import Path

import keras

from sesemi.files import write
from sesemi.primitives import layers


def build(classifier) -> keras.Model:
    """Return a model of stock layers in float32, with the same weights and answers.

    Args:
        classifier: Trained `sesemi.training.classifier.Classifier`.

    Returns:
        A functional model from pixels ``[B, H, W, C]`` in 0 … 255, of uint8 or float, to float32 ``[B, classes]``. Its
        layer ``preprocess`` maps pixels to the input of the trunk, and is frozen. Its layer ``classifier`` maps that to
        probabilities, and can be trained, also where `classifier` is a teacher.
    """
    trunk = layers.for_export(classifier.trunk)
    pool = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")
    dropout = keras.layers.Dropout(classifier.dropout_rate, dtype="float32", name="head_dropout")
    head = keras.layers.Dense(classifier.num_classes, dtype="float32", name="head")
    prepared = keras.Input(classifier.image_shape, name="prepared")
    logits = head(dropout(pool(trunk(prepared))))
    head.set_weights(classifier.head.get_weights())
    core = keras.Model(prepared, keras.layers.Softmax(dtype="float32", name="probabilities")(logits), name="classifier")
    preprocess = keras.models.clone_model(classifier.preprocess)
    preprocess.set_weights(classifier.preprocess.get_weights())
    preprocess.trainable = False
    pixels = keras.Input(classifier.image_shape, dtype="float32", name="pixels")
    return keras.Model(pixels, core(preprocess(pixels)), name="sesemi_classifier")


def save(model: keras.Model, path: Path) -> None:
    """Write ``path`` (``.keras``) whole or not at all."""
    write(path, model.save)
