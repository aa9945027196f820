"""Trained classifier, for its users: ``model.keras`` and beside it ``model.json``, which names its classes."""

import json
import math
import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from sesemi.augmentation.views import Augmentation
from sesemi.errors import InputError
from sesemi.files import write
from sesemi.inference import model_file
from sesemi.reading import Schema, json_object, texts
from sesemi.terminal import one_line, tell

MODEL = "model.keras"
_NEEDED: Schema = {"class_names": texts, "resize": lambda value: value in ("crop", "pad")}
_FACTS: Schema = {
    "shift": lambda value: type(value) is int and 0 <= value < 2**31,
    "flip": lambda value: isinstance(value, bool),
    "noise": lambda value: type(value) in (int, float) and 0 <= value < math.inf,
}


@dataclass(frozen=True, eq=False)
class Saved:
    """Exported classifier with the facts of its sidecar.

    Args:
        path: Path of the ``.keras`` file.
        model: Model from uint8 ``[B, H, W, C]`` to float32 probabilities ``[B, classes]``.
        class_names: One name for each class.
        resize: Way that pictures of another size were brought to it: ``crop`` or ``pad``.
        augmentation: Views that it was trained with, for averages over several.
        has_sidecar: False if there is no ``.json`` file; the classes are then numbered and the rest is a default.
    """

    path: Path
    model: keras.Model
    class_names: tuple[str, ...]
    resize: str
    augmentation: Augmentation
    has_sidecar: bool

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pictures that it takes."""
        return self.model.input_shape[1:]


def sidecar_of(path: Path) -> Path:
    """Return the file beside a ``.keras`` file that names its classes."""
    return path.with_suffix(".json")


def write_sidecar(path: Path, **facts: Any) -> None:
    """Write the file that `load` reads.

    Args:
        path: Path of the ``.keras`` file.
        facts: ``class_names``, ``image_shape``, ``resize``, ``shift``, ``flip`` and ``noise``; more may follow.
    """
    write(sidecar_of(path), json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def load(place: str | Path) -> Saved:
    """Read an exported classifier.

    Args:
        place: Run folder, or a ``.keras`` file of one.

    Raises:
        InputError: If there is none, it is not what this program exports, or its sidecar is damaged.
    """
    path = Path(place)
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: there is no such model; give a run folder (runs/NAME) or its {MODEL}")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not a model of Keras, or only a part of one; get it again, or give a run folder")
    model = _read(path)
    shape, classes = getattr(model, "input_shape", None), getattr(model, "output_shape", (None,))[-1]
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:] or not isinstance(classes, int):
        raise InputError(f"{path}: a model from images [N, H, W, C] to probabilities is needed, this one takes {shape}")
    facts = _read_sidecar(sidecar_of(path), classes)
    return Saved(
        path,
        model,
        tuple(facts.get("class_names", map(str, range(classes)))),
        facts.get("resize", "crop"),
        Augmentation(shift=facts.get("shift", 2), flip=facts.get("flip", False), noise=facts.get("noise", 0.0)),
        bool(facts),
    )


def _read(path: Path) -> keras.Model:
    try:
        model_file.refuse(path)
        # Of each layer that lacks something Keras warns; one line says it once.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning)
            model = keras.models.load_model(path)
    # Keras raises all kinds of errors for files that are none of its own.
    except Exception as error:
        reason = one_line(str(error).split("List of objects")[0] or error)
        raise InputError(
            f"{path}: not a model that Keras can read ({reason})", cure="get it again, or give a run folder"
        ) from error
    # Of a model that cannot be read the error says enough.
    if warned:
        tell(f"{path}: Keras warns {len(warned)} times, first: {one_line(warned[0].message)}")
    return model


def _read_sidecar(path: Path, classes: int) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    try:
        facts = json_object(path, _NEEDED, _FACTS)
    except (InputError, OSError) as error:
        raise InputError(str(error), cure="restore it, or remove it to have numbers for classes") from error
    if len(facts["class_names"]) != classes:
        raise InputError(f"{path}: does not belong to the model beside it, which has {classes} classes; restore it")
    return facts
