"""``sesemi evaluate MODEL DATASET``: measure the errors of a classifier by class, and its calibration."""

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sesemi.commands import classifying
from sesemi.commands.parser import OneLineParser, finish
from sesemi.config.checks import wants_extra
from sesemi.errors import InputError
from sesemi.files import make_folder, refuse_unwritable, write
from sesemi.reading import json_object
from sesemi.runs.folder import RunFolder
from sesemi.terminal import printable, show, tell

# In letters of a table that is printed.
_LONGEST_CLASS = 60


def to_text(found: dict[str, Any]) -> str:
    """Return the text that is printed."""
    shown = {name: printable(name, _LONGEST_CLASS) for name in found["class_names"]}
    views = "one view" if found["views"] == 1 else f"mean of {found['views']} views"
    width = max(5, *map(len, shown.values()))
    lines = [f"{'class':{width}}  images  error [%]  precision [%]  recall [%]"]
    for row in found["classes"]:
        error, precision, recall = (
            "-" if row[k] is None else f"{row[k]:.2f}" for k in ("error", "precision", "recall")
        )
        lines.append(f"{shown[row['class']]:{width}}  {row['images']:6}  {error:>9}  {precision:>13}  {recall:>10}")
    if found["confusions"]:
        lines.append("most frequent confusions:")
        lines += [
            f"  {row['images']:5}  {shown[row['true']]} taken for {shown[row['predicted']]}"
            for row in found["confusions"]
        ]
    lines += [
        f"expected calibration error {100 * found['expected_calibration_error']:.2f} %"
        f" ({len(found['reliability'])} bins)",
        f"negative log-likelihood {found['negative_log_likelihood']:.4f}",
        f"error {found['test_error']:.2f} % of {found['images']} images ({views})",
        "on other pictures of the same kind between {:.1f} and {:.1f} % (95 %)".format(*found["test_error_interval"]),
    ]
    return "\n".join(lines)


def write_numbers(folder: Path, found: dict[str, Any]) -> None:
    """Write ``confusion.png``, ``reliability.png`` and, last, ``evaluation.json``.

    Raises:
        InputError: The folder cannot be made.
        sesemi.files.WriteError: The disk refuses.
    """
    import numpy as np

    from sesemi.report import pictures

    # An empty bin has None, which is NaN in an array of floats.
    bins = {
        key: np.array([row[key] for row in found["reliability"]], float) for key in ("images", "confidence", "accuracy")
    }
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror})", setting="output") from error
    matrix = np.array(found["confusion_matrix"])
    write(folder / "confusion.png", pictures.confusion_matrix(matrix, found["class_names"], views=found["views"]))
    write(
        folder / "reliability.png",
        pictures.reliability_diagram(
            bins["images"], bins["confidence"], bins["accuracy"], found["expected_calibration_error"]
        ),
    )
    write(folder / "evaluation.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str] | None = None, program: str = "sesemi evaluate") -> int:
    """Read, classify, count, print and write.

    Returns:
        Exit code: 0 done, 2 the model or the data cannot be used (one line on stderr), 130 interrupted.
    """
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("model", metavar="MODEL", help=classifying.MODEL_HELP)
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="A data set, such as digits or cifar10 (its test images), or a folder with CLASS/... or test/CLASS/....",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="Folder with the data set's files or its official archive (default, for folder: that of the run).",
    )
    parser.add_argument(
        "--labels-file", metavar="FILE", help="A table path,label for folder (default: that of the run, if it had one)."
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="Folder for numbers and pictures (default: evaluation-DATASET by the model).",
    )
    classifying.add_model_flags(parser)
    args = parser.parse_intermixed_args(arguments)
    return finish(program, lambda: _assess(args), traceback=args.traceback)


def _of_run(folder: Path, args) -> dict[str, str | None]:
    """Return where the pictures and labels of ``folder`` are, and the hash of the data that the model was trained on.

    The flags come first, then what the run had. Without the table of labels of the run, other pictures would be set
    aside as the test than in the run.
    """
    if args.labels_file is not None and args.dataset != "folder":
        raise InputError("of use only with folder", setting="labels_file", value=args.labels_file, cure="leave it out")
    given = {"data_dir": args.data_dir, "labels_file": args.labels_file, "trained_on": None}
    run = RunFolder(folder)
    if args.dataset != "folder" or not run.config_file.is_file():
        return given
    try:
        config, _ = run.config()
        trained_on = run.results()["data_sha256"] if run.is_finished else None
    except InputError as error:
        tell(f"{folder}: its config.json or results.json cannot be used ({error})")
        return given
    if config.dataset == "folder":
        if not wants_extra(config.extra, config.extra_source):
            given["trained_on"] = trained_on
        given["data_dir"] = args.data_dir or config.data_dir
        if os.path.realpath(given["data_dir"]) == os.path.realpath(config.data_dir):
            given["labels_file"] = args.labels_file or config.labels_file
    return given


def _place_of(dataset: str) -> str:
    from sesemi.inference import evaluation_sets

    return dataset if evaluation_sets.is_named(dataset) else os.path.realpath(dataset)


def _free(folder: Path, dataset: str) -> Path:
    """Return the folder, or the folder with a number behind its name: the first without an evaluation on other data."""
    for number in itertools.count(1):
        found = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            if json_object(found / "evaluation.json", {"dataset": str})["dataset"] == dataset:
                return found
        except FileNotFoundError:
            return found
        # A folder that holds something else stays as it is.
        except (OSError, InputError):
            continue


def _assess(args) -> None:
    import numpy as np

    from sesemi.inference import evaluation_sets, metrics

    evaluation_sets.refuse_unknown_set(args.dataset, args.data_dir)
    place = Path(args.model)
    name = args.dataset if evaluation_sets.is_named(args.dataset) else Path(args.dataset).resolve().name
    folder = args.output or _free(
        (place if place.is_dir() else place.parent) / f"evaluation-{name.replace(':', '-')}", _place_of(args.dataset)
    )
    refuse_unwritable("output", folder)
    data = _of_run(place if place.is_dir() else place.parent, args)
    saved = classifying.load(args.model, args.gpu)
    items, labels, notes = evaluation_sets.test_set(args.dataset, saved=saved, **data)
    for note in notes:
        tell(note)
    progress, parts, kept = classifying.Progress(len(labels)), [], []
    try:
        for batch, probs in classifying.answers(saved, items, progress, views=args.views):
            parts.append(probs)
            kept.append(batch.positions)
    except OSError as error:
        raise InputError(str(error)) from error
    finally:
        progress.close()
    if not parts:
        raise InputError(f"{args.dataset}: none of {len(labels)} pictures could be decoded")
    probs, whole = np.concatenate(parts), labels[np.concatenate(kept)]
    views = 1 if args.views == 1 else 8 if saved.augmentation.flip else 4
    about = {
        "model": str(saved.path),
        "dataset": _place_of(args.dataset),
        "views": views,
        "broken": len(labels) - len(whole),
    }
    found = about | metrics.assess(probs, whole, saved.class_names)
    write_numbers(folder, found)
    if found["broken"]:
        tell(f"{found['broken']} of {len(labels)} pictures could not be decoded and are left out")
    show(*to_text(found).splitlines())
    show(f"written: {folder / 'evaluation.json'}, confusion.png, reliability.png")
