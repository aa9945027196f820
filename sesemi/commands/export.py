"""``python -m sesemi export MODEL --format FORMAT``: the model for other runtimes, compared with it on real images."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sesemi.commands import train
from sesemi.distribution import start
from sesemi.errors import InputError
from sesemi.inference.formats import FORMATS, INPUT, OUTPUT, Format, require

EXIT_NOT_CONVERTED = 3
# Of a probability; float32 sums in another order differ by 1e-7 to 1e-6.
TOLERANCE = 1e-4
NAMES = "class_names.json"
_BATCH, _ALONE, _PATCHES, _SEED = 32, 8, 32, 2019
_MODELS = (".keras", ".tflite", ".onnx")
# What TensorFlow and `main` put into a SavedModel; a folder with more is somebody's.
_OF_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra", NAMES}


class ConversionError(RuntimeError):
    """The converted model cannot be made, does not answer as the Keras model does, or cannot be put in its place."""


def sample_images(shape: tuple[int, int, int]) -> np.ndarray:
    """Real images that come with scikit-learn: pieces of two photos in many sizes, or digits if there is one channel.

    Returns:
        ``[32, *shape]`` uint8.

    Raises:
        InputError: neither one nor three channels.
    """
    from PIL import Image
    from sklearn import datasets

    height, width, channels = shape
    if channels == 1:
        digits = np.rint(datasets.load_digits().images[:_PATCHES] * (255 / 16)).astype(np.uint8)
        resized = [Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC) for digit in digits]
        return np.stack(resized)[..., None]
    if channels != 3:
        raise InputError(f"--images: no samples of {channels} channels come with scikit-learn; give images.npy")
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
    """Images ``[N, *shape]`` uint8 of a ``.npy`` file.

    Raises:
        InputError: the file holds something else.
    """
    needed = f"uint8 [N, {', '.join(map(str, shape))}] is needed"
    try:
        images = np.lib.format.open_memmap(path, mode="r")
    # A damaged header makes numpy's reader fail in many ways.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise InputError(f"--images {path}: cannot be read ({reason}); {needed}") from error
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise InputError(f"--images {path}: {needed}, this is {images.dtype} {list(images.shape)}")
    return images


def differences(model, classify: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> tuple[float, bool]:
    """Compare two models on images in batches of 32, on the first 8 one by one, and on a pair.

    Args:
        model: of Keras.
        classify: the converted one.
        images: ``[N, H, W, C]`` uint8.

    Returns:
        The largest difference of two probabilities, and whether they agree: it is at most `TOLERANCE`, and the most
        probable class is the same wherever the two best are further apart than that.
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
    """Look whether the converted model may be put there.

    Raises:
        InputError: it would take the place of something else.
    """
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; create it")
    if not os.access(output.parent, os.W_OK):
        raise InputError(f"--output {output}: {output.parent} cannot be written to; give another place")
    if chosen.suffix:
        if output.suffix != chosen.suffix or output.is_dir():
            raise InputError(f"--output {output}: a file {chosen.suffix} is needed")
        _refuse_names(output, saved)
        return
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError(f"--output {output}: is there and no folder; give another")
    inside = {path.name for path in output.iterdir()} if output.exists() else set()
    if inside and ("saved_model.pb" not in inside or inside - _OF_SAVED_MODEL):
        other = min(inside - _OF_SAVED_MODEL or inside)
        raise InputError(f"--output {output}: holds {other}, which is no part of a SavedModel; give another folder")


def _refuse_names(output: Path, saved) -> None:
    source, names = saved.path.with_suffix(".json"), output.with_suffix(".json")
    if not names.exists() or (saved.has_sidecar and names.read_bytes() == source.read_bytes()):
        return
    neighbours = [output.with_suffix(suffix) for suffix in _MODELS if suffix != output.suffix]
    replaceable = saved.has_sidecar and b'"class_names"' in names.read_bytes()
    if not replaceable or any(path.exists() for path in neighbours):
        raise InputError(f"--output {output}: {names} beside it is not of this model; give another name")


def convert(saved, name: str, output: Path, images: np.ndarray) -> float:
    """Write a model in another format, read it back, compare it and put it in its place, with its class names.

    Args:
        saved: a `sesemi.inference.saved.Saved`.
        name: of the format.
        output: see `refuse_output`.
        images: to compare on, ``[N, H, W, C]`` uint8.

    Returns:
        The largest difference of two probabilities.

    Raises:
        ConversionError: nothing is left behind, and what was there before stays.
    """
    chosen = FORMATS[name]
    try:
        place = tempfile.TemporaryDirectory(prefix=f".partial-{output.name}-", dir=output.parent)
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written ({error.strerror}); give another place") from error
    with place as folder:
        made = Path(folder) / f"model{chosen.suffix}"
        try:
            with (
                start.stderr_aside(),
                contextlib.redirect_stdout(sys.stderr),
                warnings.catch_warnings(action="ignore"),
            ):
                chosen.write(saved.model, made)
                largest, agree = differences(saved.model, chosen.read(made), images)
        # Converters raise all kinds of errors; what they printed comes before this line.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ConversionError(f"--format {name}: failed ({type(error).__name__}: {reason})") from error
        if not agree:
            raise ConversionError(
                f"--format {name}: it does not answer as {saved.path} does: probabilities of {len(images)} images "
                f"differ by up to {largest:.2g}, at most {TOLERANCE:.0e} is allowed; nothing was written"
            )
        _publish(made, output, saved)
    return largest


def _publish(made: Path, output: Path, saved) -> None:
    """Put a file or a folder in its place by rename; of a folder, nothing is there for an instant."""
    from sesemi.runs.checkpoints import CheckpointError, write_whole

    names = saved.path.with_suffix(".json")
    try:
        if made.is_file():
            write_whole(output, lambda partial: os.replace(made, partial))
            beside = output.with_suffix(".json")
            if saved.has_sidecar and beside.resolve() != names.resolve():
                write_whole(beside, lambda partial: shutil.copyfile(names, partial))
            return
        if saved.has_sidecar:
            shutil.copyfile(names, made / NAMES)
        os.sync()
        before = made.with_name("before")
        try:
            if output.exists():
                os.rename(output, before)
            os.rename(made, output)
        except BaseException:
            if before.exists() and not output.exists():
                os.rename(before, output)
            raise
    except (OSError, CheckpointError) as error:
        raise ConversionError(f"{output}: could not be put in its place ({error})") from error


def main(arguments: Sequence[str] | None = None, program: str = "python -m sesemi export") -> int:
    """Load, convert, compare, print.

    Returns:
        Exit code: 0 done, 2 bad arguments or model, 3 the converted model is no good or could not be written (one line
        on stderr), 130 interrupted.
    """
    parser = train.OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("model", metavar="MODEL", type=Path, help="a run folder, such as runs/NAME, or its model.keras")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS), help="what to write")
    parser.add_argument("--output", type=Path, metavar="PATH", help="where (default: beside the model)")
    parser.add_argument(
        "--images", type=Path, metavar="FILE.npy", help="uint8 [N, H, W, C] to compare on (default: scikit-learn's)"
    )
    args = parser.parse_args(arguments)
    try:
        require(args.format)
        train.select_device("cpu")
        train.prepare_tensorflow()
        start.load_tensorflow()
        from sesemi.inference import saved as saved_module

        chosen, saved = FORMATS[args.format], saved_module.load(args.model)
        default = saved.path.with_suffix(chosen.suffix) if chosen.suffix else saved.path.with_name(args.format)
        output = args.output or default
        refuse_output(output, saved, chosen)
        shape = saved.image_shape
        images = read_images(args.images, shape) if args.images else sample_images(shape)
        largest = convert(saved, args.format, output, images)
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return train.EXIT_BAD_INPUT
    except (ConversionError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_NOT_CONVERTED
    except KeyboardInterrupt:
        print("interrupted; nothing was written")
        return 128 + signal.SIGINT
    _tell(saved, output, chosen, f"{largest:.1e} on {len(images)} images ({args.images or 'scikit-learn'})")
    return 0


def _tell(saved, output: Path, chosen: Format, largest: str) -> None:
    files = [path for path in [output, *output.rglob("*")] if path.is_file()]
    names = output / NAMES if output.is_dir() else output.with_suffix(".json")
    shape, classes = ", ".join(map(str, saved.image_shape)), len(saved.class_names)
    print(f"{chosen.suffix[1:] or 'saved_model'}: {output} ({sum(path.stat().st_size for path in files) / 1e6:.2f} MB)")
    print(f"takes {INPUT!r}: uint8 [N, {shape}]; gives {OUTPUT!r}: float32 [N, {classes}]; {chosen.use}")
    print(f"largest difference of a probability from {saved.path}: {largest}")
    print(f"class names: {names if saved.has_sidecar else 'none, there is no .json beside the model'}")
