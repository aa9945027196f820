"""Formats of the exported classifier for other runtimes, to write it and to read it back."""

import importlib.util
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sesemi.errors import InputError

OUTPUT, NAMES = "probabilities", "class_names"
# What a served model takes: pixels at its own size, pictures of any size, or encoded files; and the input's name.
INPUTS = {"pixels": "pixels", "any-size": "pictures", "jpeg": "files"}
_OPSET = 17


class Served(NamedTuple):
    """Model as it is to be served.

    Args:
        model: Keras model from pixels ``[B, H, W, C]`` to probabilities.
        class_names: One name for each class, which are kept inside of the file.
        resize: Way that pictures of another size are brought to its own, ``crop`` or ``pad``.
        takes: A key of `INPUTS`.
    """

    model: Any
    class_names: tuple[str, ...] = ()
    resize: str = "crop"
    takes: str = "pixels"


class Format(NamedTuple):
    """Way to write a model down.

    Args:
        suffix: Suffix of the file; empty: it is a folder.
        packages: Modules that it needs beyond requirements.txt.
        inputs: Keys of `INPUTS` that its runtime has the operations for.
        write: Function that writes a `Served` to a path.
        read: Function that reads a path, and the key of `INPUTS` that was written, and gives its own runtime's function
            from uint8 ``[B, H, W, C]`` to probabilities ``[B, classes]``.
        names: Function that reads the names of the classes from a path.
        use: Text that says how that runtime takes images.
    """

    suffix: str
    packages: tuple[str, ...]
    inputs: tuple[str, ...]
    write: Callable[[Served, Path], None]
    read: Callable[..., Callable[[np.ndarray], np.ndarray]]
    names: Callable[[Path], list[str]]
    use: str


def _function(served: Served):
    import tensorflow as tf

    from sesemi.inference import picture_input

    side, _, channels = served.model.input_shape[1:]
    name = INPUTS[served.takes]
    if served.takes == "jpeg":
        signature = tf.TensorSpec((None,), tf.string, name=name)
    elif served.takes == "any-size":
        signature = tf.TensorSpec((None, None, None, channels), tf.uint8, name=name)
    else:
        signature = tf.TensorSpec((None, *served.model.input_shape[1:]), tf.uint8, name=name)

    def classify(given):
        pixels = given
        if served.takes == "jpeg":
            pixels = picture_input.from_files(given, side, channels, served.resize)
        elif served.takes == "any-size":
            pixels = picture_input.resized(given, side, served.resize)
        return {OUTPUT: tf.identity(served.model(pixels, training=False), OUTPUT)}

    return tf.function(classify, [signature])


def _archive(served: Served):
    import keras

    archive = keras.export.ExportArchive()
    archive.add_endpoint("serve", _function(served))
    return archive


def _write_saved_model(served: Served, path: Path) -> None:
    import tensorflow as tf

    archive, names = _archive(served), tf.constant(list(served.class_names), tf.string)
    archive.add_endpoint(NAMES, tf.function(lambda: {NAMES: tf.identity(names)}, input_signature=[]))
    archive.write_out(str(path), verbose=False)


def _read_saved_model(path: Path, takes: str = "pixels"):
    import tensorflow as tf

    # The functions of a loaded model live no longer than it does, so the lambda holds the model.
    loaded = tf.saved_model.load(str(path))
    encode = _as_png if takes == "jpeg" else lambda images: images
    return lambda images: loaded.signatures["serve"](**{INPUTS[takes]: tf.constant(encode(images))})[OUTPUT].numpy()


def _as_png(images: np.ndarray) -> list[bytes]:
    """Return pictures as files without loss, which the readers of JPEG take too."""
    from PIL import Image

    found = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image if image.shape[-1] > 1 else image[..., 0]).save(file, "PNG")
        found.append(file.getvalue())
    return found


def _names_of_saved_model(path: Path) -> list[str]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return [name.decode() for name in loaded.signatures[NAMES]()[NAMES].numpy()]


def _write_tflite(served: Served, path: Path) -> None:
    import tensorflow as tf
    from tensorflow.lite.tools import flatbuffer_utils

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        # The names would be a second subgraph.
        _archive(served).write_out(folder, verbose=False)
        content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    found = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    _add_names_to_tflite(found, served.class_names)
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(found))


def _add_names_to_tflite(found, class_names: tuple[str, ...]) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(class_names).encode(), np.uint8)
    entry.name, entry.buffer = NAMES, len(found.buffers)
    found.buffers.append(buffer)
    found.metadata = [*(found.metadata or ()), entry]


def _read_tflite(path: Path, takes: str = "pixels"):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    # Each call gets a runner of its own: it resizes the input, from the file's batch of 1, to the batch of the call.
    return lambda images: interpreter.get_signature_runner()(**{INPUTS[takes]: images})[OUTPUT]


def _names_of_tflite(path: Path) -> list[str]:
    from tensorflow.lite.tools import flatbuffer_utils

    found = flatbuffer_utils.read_model(str(path))
    for entry in found.metadata:
        if entry.name.decode() == NAMES:
            return json.loads(bytes(found.buffers[entry.buffer].data))
    return []


def _write_onnx(served: Served, path: Path) -> None:
    import tf2onnx

    function = _function(served)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=_OPSET)
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    named = converted.metadata_props.add()
    named.key, named.value = NAMES, json.dumps(served.class_names)
    path.write_bytes(converted.SerializeToString())


def _read_onnx(path: Path, takes: str = "pixels"):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUTS[takes]: images})[0]


def _names_of_onnx(path: Path) -> list[str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return json.loads(session.get_modelmeta().custom_metadata_map[NAMES])


FORMATS = {
    "saved_model": Format(
        "",
        (),
        tuple(INPUTS),
        _write_saved_model,
        _read_saved_model,
        _names_of_saved_model,
        "any batch size",
    ),
    "tflite": Format(
        ".tflite",
        (),
        ("pixels",),
        _write_tflite,
        _read_tflite,
        _names_of_tflite,
        "any batch size, by its signature runner",
    ),
    "onnx": Format(
        ".onnx",
        ("tf2onnx", "onnx", "onnxruntime"),
        ("pixels",),
        _write_onnx,
        _read_onnx,
        _names_of_onnx,
        "any batch size",
    ),
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
