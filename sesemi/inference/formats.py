"""Formats of the exported classifier for other runtimes, to write it and to read it back."""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sesemi.errors import InputError

INPUT, OUTPUT = "pixels", "probabilities"
_OPSET = 17


class Format(NamedTuple):
    """Way to write a model down.

    Args:
        suffix: Suffix of the file; empty: it is a folder.
        packages: Modules that it needs beyond requirements.txt.
        write: Function that writes a Keras model to a path.
        read: Function that reads a path and gives its own runtime's function from uint8 ``[B, H, W, C]`` to
            probabilities ``[B, classes]``.
        use: Text that says how that runtime takes images.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[Any, Path], None]
    read: Callable[[Path], Callable[[np.ndarray], np.ndarray]]
    use: str


def _served(model):
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)]
    return tf.function(lambda pixels: {OUTPUT: tf.identity(model(pixels, training=False), OUTPUT)}, signature)


def _write_saved_model(model, path: Path) -> None:
    import keras

    archive = keras.export.ExportArchive()
    archive.add_endpoint("serve", _served(model))
    archive.write_out(str(path), verbose=False)


def _read_saved_model(path: Path):
    import tensorflow as tf

    # The functions of a loaded model live no longer than it does, so the lambda holds the model.
    loaded = tf.saved_model.load(str(path))
    return lambda images: loaded.signatures["serving_default"](**{INPUT: tf.constant(images)})[OUTPUT].numpy()


def _write_tflite(model, path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        _write_saved_model(model, Path(folder))
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _read_tflite(path: Path):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    # Each call gets a runner of its own: it resizes the input, from the file's batch of 1, to the batch of the call.
    return lambda images: interpreter.get_signature_runner()(**{INPUT: images})[OUTPUT]


def _write_onnx(model, path: Path) -> None:
    import tf2onnx

    served = _served(model)
    converted, _ = tf2onnx.convert.from_function(served, input_signature=served.input_signature, opset=_OPSET)
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    path.write_bytes(converted.SerializeToString())


def _read_onnx(path: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


FORMATS = {
    "saved_model": Format("", (), _write_saved_model, _read_saved_model, "any batch size"),
    "tflite": Format(".tflite", (), _write_tflite, _read_tflite, "any batch size, by its signature runner"),
    "onnx": Format(".onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _read_onnx, "any batch size"),
}
# These were tried together with Keras 3.15, TensorFlow 2.21 and numpy 2.4.
INSTALL = {"tf2onnx": "tf2onnx~=1.17.0", "onnx": "onnx~=1.23.0", "onnxruntime": "onnxruntime~=1.32.0"}


def require(name: str) -> None:
    """Look for the packages of a format, without loading them.

    Raises:
        InputError: If a package is missing.
    """
    missing = [package for package in FORMATS[name].packages if importlib.util.find_spec(package) is None]
    if missing:
        wanted = " ".join(f'"{INSTALL[package]}"' for package in FORMATS[name].packages)
        raise InputError(f"needs {', '.join(missing)}", setting="format", value=name, cure=f"pip install {wanted}")
