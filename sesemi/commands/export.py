"""``sesemi export MODEL --format FORMAT``: write the model for other runtimes, and compare it on real images."""

import signal
from collections.abc import Sequence
from pathlib import Path

from sesemi.commands.classifying import MODEL_HELP
from sesemi.commands.parser import EXIT_BAD_INPUT, OneLineParser, as_typed
from sesemi.distribution.start import start_tensorflow
from sesemi.errors import InputError
from sesemi.files import WriteError
from sesemi.terminal import show, tell

EXIT_NOT_CONVERTED = 3
FORMATS = ("saved_model", "tflite", "onnx")
INPUTS = ("pixels", "any-size", "jpeg")


def main(arguments: Sequence[str] | None = None, program: str = "sesemi export") -> int:
    """Load, convert, compare and print.

    Returns:
        Exit code: 0 done, 2 bad arguments or model, 3 the converted model is no good or could not be written (one line
        on stderr), 130 interrupted.
    """
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("model", metavar="MODEL", type=Path, help=MODEL_HELP)
    parser.add_argument("--format", required=True, choices=FORMATS, help="Format to write.")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help="File or folder to write (default: beside the model)."
    )
    parser.add_argument(
        "--input",
        choices=INPUTS,
        default="pixels",
        help="What the model takes: pixels of its own size; pictures of any size; or contents of JPEG, PNG, BMP or GIF "
        "files, which it decodes and resizes as the run did. The last two are for saved_model (default: pixels).",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FILE.npy",
        help="Images, uint8 [N, H, W, C], to compare on (default: scikit-learn's).",
    )
    args = parser.parse_args(arguments)
    try:
        _export(args)
    except InputError as error:
        if args.traceback:
            raise
        tell(f"{program}: {as_typed(error)}")
        return EXIT_BAD_INPUT
    except (_conversion_error(), WriteError, OSError) as error:
        if args.traceback:
            raise
        tell(f"{program}: {as_typed(error)}")
        return EXIT_NOT_CONVERTED
    except KeyboardInterrupt:
        show("interrupted; nothing was written")
        return 128 + signal.SIGINT
    return 0


def _conversion_error() -> type[Exception]:
    from sesemi.inference.conversion import ConversionError

    return ConversionError


def _export(args) -> None:
    from sesemi.inference import formats

    formats.require(args.format)
    able = formats.FORMATS[args.format].inputs
    if args.input not in able:
        raise InputError(
            f"the runtime of {args.format} has no operation for that",
            setting="input",
            value=args.input,
            cure=f"give {' or '.join(able)}, or `format=saved_model`",
        )
    start_tensorflow("cpu")
    from sesemi.inference import conversion, saved

    chosen, model = formats.FORMATS[args.format], saved.load(args.model)
    default = model.path.with_suffix(chosen.suffix) if chosen.suffix else model.path.with_name(args.format)
    output = args.output or default
    conversion.refuse_output(output, model, chosen)
    shape = model.image_shape
    images = conversion.read_images(args.images, shape) if args.images else conversion.sample_images(shape)
    largest = conversion.convert(model, args.format, output, images, args.input)
    _tell(model, output, chosen, args.input, f"{largest:.1e} on {len(images)} images ({args.images or 'scikit-learn'})")


def _tell(saved, output: Path, chosen, takes: str, largest: str) -> None:
    from sesemi.inference.conversion import NAMES as FILE_OF_NAMES
    from sesemi.inference.formats import INPUTS, NAMES, OUTPUT

    files = [path for path in [output, *output.rglob("*")] if path.is_file()]
    (height, width, channels), classes = saved.image_shape, len(saved.class_names)
    wanted = {
        "pixels": f"uint8 [N, {height}, {width}, {channels}]",
        "any-size": f"uint8 [N, any, any, {channels}]",
        "jpeg": "contents of files [N]",
    }[takes]
    show(f"{chosen.suffix[1:] or 'saved_model'}: {output} ({sum(path.stat().st_size for path in files) / 1e6:.2f} MB)")
    show(f"takes {INPUTS[takes]!r}: {wanted}; gives {OUTPUT!r}: float32 [N, {classes}]; {chosen.use}")
    show(f"largest difference of a probability from {saved.path}: {largest}")
    names = output / FILE_OF_NAMES if output.is_dir() else output.with_suffix(".json")
    inside = f"inside, as {NAMES!r}, and in {names}"
    show(f"class names: {inside if saved.has_sidecar else 'none, there is no .json beside the model'}")
