"""Exported classifier: stock Keras layers, raw pixels in, class probabilities out."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

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


# Oldest Keras that reads what `save` writes, and what later ones added to the description of a layer, at its default.
OLDEST_KERAS = "3.8.0"
_ADDED: dict[str, Any] = {
    "ragged": False,
    "input_axes": None,
    "output_axes": None,
    "lora_alpha": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}


def save(model: keras.Model, path: Path) -> None:
    """Write ``path`` (``.keras``) whole or not at all, so that Keras from `OLDEST_KERAS` on reads it.

    Older ones know fewer arguments of layers and initializers; those that have their defaults are left out.

    Raises:
        sesemi.files.WriteError: The disk refuses.
    """
    write(path, lambda partial: _save(model, partial))


def _save(model: keras.Model, path: Path) -> None:
    model.save(path)
    cleaned = path.with_name(f"cleaned-{path.name}")
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(cleaned, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename == "config.json":
                    content = json.dumps(_without_added(json.loads(content))).encode()
                new.writestr(entry, content)
        os.replace(cleaned, path)
    finally:
        cleaned.unlink(missing_ok=True)


def _without_added(value):
    if isinstance(value, list):
        return [_without_added(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if not (k in _ADDED and v == _ADDED[k])}
    return {name: _without_added(item) for name, item in kept.items()}
