"""sesemi: semi-supervised image classification in Keras 3 on TensorFlow 2.

Public names are loaded on first use, so that ``import sesemi`` (and with it ``--help``) needs no TensorFlow.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "Classifier": "sesemi.classifier",
    "RunConfig": "sesemi.config",
    "EMATeacher": "sesemi.teacher",
    "InputError": "sesemi.errors",
    "SemiSupervisedClassifier": "sesemi.estimator",
    "SemiSupervisedModel": "sesemi.training",
    "METHODS": "sesemi.methods",
    "index_batches": "sesemi.pipeline",
    "DevicePixels": "sesemi.pipeline",
    "run": "sesemi.runner",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sesemi' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
