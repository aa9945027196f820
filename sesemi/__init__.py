"""sesemi: semi-supervised image classification in Keras 3 on TensorFlow 2.

Public names are loaded on first use, so that ``import sesemi`` (and with it ``--help``) needs no TensorFlow.
"""

import importlib
import os

# ~/.keras/keras.json may name another backend; what the environment names comes first (`sesemi.keras_settings`).
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# In a checkout `models` and `datasets` lie beside this package; installed, they lie in it.
if not os.path.isdir(os.path.join(__path__[0], "models")):
    __path__.append(os.path.dirname(__path__[0]))

__version__ = "0.1.0"

_PUBLIC = {
    "Classifier": "sesemi.training.classifier",
    "RunConfig": "sesemi.config",
    "EMATeacher": "sesemi.training.teacher",
    "InputError": "sesemi.errors",
    "SemiSupervisedClassifier": "sesemi.estimator",
    "SemiSupervisedModel": "sesemi.training.model",
    "METHODS": "sesemi.methods",
    "resolve": "sesemi.config",
    "index_batches": "sesemi.pipeline.batches",
    "DevicePixels": "sesemi.pipeline.pixels",
    "run": "sesemi.runs.run",
}
# Rooms that are of use by themselves: `models.build`, `datasets.load`.
_ROOMS = ("datasets", "models")
__all__ = sorted(_PUBLIC)


def __dir__():
    return [*__all__, *_ROOMS, "__version__"]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"sesemi.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sesemi' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
