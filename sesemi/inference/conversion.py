"""Conversion of a model: write it, read it back, compare it with the Keras model on real images, put it in place."""

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sesemi import reading
from sesemi.datasets import lazy_images
from sesemi.errors import InputError
from sesemi.files import whole
from sesemi.inference.formats import FORMATS, Format, Served
from sesemi.terminal import one_line, stderr_aside

# Largest difference of a probability; sums of float32 in another order differ by 1e-7 to 1e-6.
TOLERANCE = 1e-4
NAMES = "class_names.json"
_BATCH, _ALONE, _PATCHES, _SEED = 32, 8, 32, 2019
_MODELS = (".keras", ".tflite", ".onnx")
_LARGEST_NAMES_MIB = 16
# Names that TensorFlow and `convert` put into a SavedModel; a folder with other names is somebody's.
_OF_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra", NAMES}


class ConversionError(RuntimeError):
    """The converted model cannot be made, does not answer as the Keras model does, or cannot be put in its place."""


def sample_images(shape: tuple[int, int, int]) -> np.ndarray:
    """Return real images of scikit-learn: pieces of two photos in many sizes, or digits if there is one channel.

    Returns:
        ``[32, *shape]`` uint8.

    Raises:
        InputError: If there are neither one nor three channels.
    """
    from PIL import Image
    from sklearn import datasets

    height, width, channels = shape
    if channels == 1:
        digits = np.rint(datasets.load_digits().images[:_PATCHES] * (255 / 16)).astype(np.uint8)
        resized = [Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC) for digit in digits]
        return np.stack(resized)[..., None]
    if channels != 3:
        raise InputError(
            f"no samples of {channels} channels come with scikit-learn", setting="images", cure="give images.npy"
        )
    photos = [Image.fromarray(photo) for photo in datasets.load_sample_images().images]
    rng, found = np.random.default_rng(_SEED), []
    for number in range(_PATCHES):
        photo = photos[number % len(photos)]
        side = min(photo.size) >> (number // len(photos) % 4)
        left, top = (int(rng.integers(0, length - side + 1)) for length in photo.size)
        box = (left, top, left + side, top + side)
        found.append(photo.resize((width, height), Image.Resampling.BICUBIC, box=box))
    return np.stack(found)


def read_images(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the images ``[N, *shape]`` uint8 of a ``.npy`` file.

    Raises:
        InputError: If the file holds something else.
    """
    needed = f"uint8 [N, {', '.join(map(str, shape))}] is needed"
    try:
        lazy_images.refuse_short(path)
        images = np.lib.format.open_memmap(path, mode="r")
    # A damaged header makes numpy's reader fail in many ways.
    except Exception as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise InputError(f"cannot be read ({reason})", setting="images", value=path, cure=f"{needed}") from error
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise InputError(f"{needed}, this is {images.dtype} {list(images.shape)}", setting="images", value=path)
    return images


def differences(model, classify: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> tuple[float, bool]:
    """Compare two models on images in batches of 32, on the first 8 one by one, and on a pair.

    Args:
        model: Keras model.
        classify: Function of the converted model, from images to probabilities.
        images: ``[N, H, W, C]`` uint8.

    Returns:
        Largest difference of two probabilities, and whether the models agree. They agree if it is at most `TOLERANCE`,
        and the most probable class is the same wherever the two best are further apart than that.
    """
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    batches += [*np.split(images[:_ALONE], len(images[:_ALONE])), images[[0, -1]]]
    largest, agree = 0.0, True
    for batch in batches:
        wanted, found = np.asarray(model(batch, training=False)), np.asarray(classify(batch))
        if wanted.shape != found.shape:
            return float("nan"), False
        largest = float(np.maximum(largest, np.abs(wanted - found).max()))
        best = np.sort(wanted, axis=1)[:, -2:]
        clear = best[:, -1] - best[:, 0] > TOLERANCE
        agree &= bool((wanted.argmax(1) == found.argmax(1))[clear].all())
    return largest, agree and largest <= TOLERANCE


def refuse_output(output: Path, saved, chosen: Format) -> None:
    """Refuse a place that the converted model may not be put in.

    Raises:
        InputError: If it would take the place of something else, or nothing can be written there.
    """
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent}", setting="output", value=output, cure="create it")
    if not os.access(output.parent, os.W_OK):
        raise InputError(
            f"{output.parent} cannot be written to", setting="output", value=output, cure="give another place"
        )
    if chosen.suffix:
        if output.suffix != chosen.suffix or output.is_dir():
            raise InputError(f"a file {chosen.suffix} is needed", setting="output", value=output)
        _refuse_names(output, saved)
        return
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError("is there and no folder", setting="output", value=output, cure="give another")
    inside = {path.name for path in output.iterdir()} if output.exists() else set()
    if inside and ("saved_model.pb" not in inside or inside - _OF_SAVED_MODEL):
        other = min(inside - _OF_SAVED_MODEL or inside)
        raise InputError(
            f"holds {other}, which is no part of a SavedModel",
            setting="output",
            value=output,
            cure="give another folder",
        )


def _refuse_names(output: Path, saved) -> None:
    source, names = saved.path.with_suffix(".json"), output.with_suffix(".json")
    if not names.exists():
        return
    try:
        there = reading.content(names, _LARGEST_NAMES_MIB)
    except OSError:
        # Whatever it is, it holds no names of classes.
        there = b""
    if saved.has_sidecar and there == source.read_bytes():
        return
    neighbours = [output.with_suffix(suffix) for suffix in _MODELS if suffix != output.suffix]
    replaceable = saved.has_sidecar and b'"class_names"' in there
    if not replaceable or any(path.exists() for path in neighbours):
        raise InputError(
            f"{names} beside it is not of this model", setting="output", value=output, cure="give another name"
        )


def convert(saved, name: str, output: Path, images: np.ndarray, takes: str = "pixels") -> float:
    """Write a model in another format, read it back, compare it and put it in its place, with its class names.

    Args:
        saved: Model to convert, `sesemi.inference.saved.Saved`.
        name: Name of the format.
        output: Place of the converted model, see `refuse_output`.
        images: Images to compare on, ``[N, H, W, C]`` uint8.
        takes: What the converted model is to take, a key of `sesemi.inference.formats.INPUTS`.

    Returns:
        Largest difference of two probabilities.

    Raises:
        ConversionError: If that failed. Nothing is left behind, and the files that were there before stay.
        InputError: If nothing can be written there.
    """
    chosen = FORMATS[name]
    try:
        place = tempfile.TemporaryDirectory(prefix=f".partial-{output.name}-", dir=output.parent)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", setting="output", value=output, cure="give another place"
        ) from error
    with place as folder:
        made = Path(folder) / f"model{chosen.suffix}"
        try:
            with (
                stderr_aside(),
                contextlib.redirect_stdout(sys.stderr),
                warnings.catch_warnings(action="ignore"),
            ):
                chosen.write(Served(saved.model, saved.class_names, saved.resize, takes), made)
                largest, agree = differences(saved.model, chosen.read(made, takes), images)
        # Converters raise all kinds of errors; what they printed comes before this line.
        except Exception as error:
            reason = one_line(error, 300)
            raise ConversionError(f"`format={name}`: failed ({type(error).__name__}: {reason})") from error
        if not agree:
            raise ConversionError(
                f"`format={name}`: it does not answer as {saved.path} does: probabilities of {len(images)} images "
                f"differ by up to {largest:.2g}, at most {TOLERANCE:.0e} is allowed; nothing was written"
            )
        _publish(made, output, saved)
    return largest


def _publish(made: Path, output: Path, saved) -> None:
    """Put a file or a folder in its place by rename, with the names of the classes."""
    names = saved.path.with_suffix(".json")
    try:
        if made.is_file():
            beside = output.with_suffix(".json")
            with whole(output) as partial:
                os.replace(made, partial)
            if saved.has_sidecar and beside.resolve() != names.resolve():
                with whole(beside) as partial:
                    shutil.copyfile(names, partial)
            return
        if saved.has_sidecar:
            shutil.copyfile(names, made / NAMES)
        with whole(output) as partial:
            os.rename(made, partial)
    except OSError as error:
        raise ConversionError(f"{output}: could not be put in its place ({error})") from error
