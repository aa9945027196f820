"""Keras as this program needs it, whatever ``~/.keras/keras.json`` says.

Networks, losses and exported models here are of TensorFlow, channels last, and hold float32 weights. `settle` runs once
by itself when this module is imported.
"""

import warnings

import keras

_EPSILON = 1e-7


def settle() -> list[str]:
    """Set the backend's float type, image format and epsilon, and return what was changed, a sentence each.

    The settings hold for the whole process. A dtype policy that is not simply the file's float type stays.

    Raises:
        ImportError: If Keras runs on another backend than TensorFlow.
    """
    if keras.config.backend() != "tensorflow":
        raise ImportError(
            f"sesemi needs Keras on TensorFlow, and it runs on {keras.config.backend()}: set KERAS_BACKEND=tensorflow "
            "in the environment before Keras is imported"
        )
    changed, floatx = [], keras.config.floatx()
    if floatx != "float32":
        if keras.config.dtype_policy().name == floatx:
            keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")
        changed.append(f"floatx is float32, not {floatx}")
    if keras.config.image_data_format() != "channels_last":
        changed.append(f"image_data_format is channels_last, not {keras.config.image_data_format()}")
        keras.config.set_image_data_format("channels_last")
    if keras.config.epsilon() != _EPSILON:
        changed.append(f"epsilon is {_EPSILON:g}, not {keras.config.epsilon():g}")
        keras.config.set_epsilon(_EPSILON)
    return changed


_changed = settle()
if _changed:
    warnings.warn(
        f"sesemi sets Keras for this process, whatever keras.json says: {'; '.join(_changed)}",
        stacklevel=2,
    )
