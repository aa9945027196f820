"""``python -m sesemi evaluate MODEL DATASET``: errors of a classifier, by class, and how far its confidence is true."""

import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sesemi.commands import classifying
from sesemi.commands.train import OneLineParser
from sesemi.config import checks
from sesemi.config import run_config as config_module
from sesemi.errors import InputError
from sesemi.inference.calibration import (
    BINS,
    Reliability,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
    reliability_diagram,
)

_CONFUSIONS = 10


def by_class(matrix: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each class: images, and error, precision and recall in percent, None where there is nothing to divide by.

    Args:
        matrix: of `sesemi.inference.predictions.confusion`.
        class_names: one a class.
    """
    rows = []
    for k, name in enumerate(class_names):
        right, there, said = (int(n) for n in (matrix[k, k], matrix[k].sum(), matrix[:, k].sum()))
        recall, precision = (100 * right / n if n else None for n in (there, said))
        error = None if recall is None else 100 - recall
        rows.append({"class": name, "images": there, "error": error, "precision": precision, "recall": recall})
    return rows


def confusions(matrix: np.ndarray, class_names: Sequence[str], most: int = _CONFUSIONS) -> list[dict[str, Any]]:
    """The most frequent ones: true class, what it is taken for, and how many images."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = (np.unravel_index(place, wrong.shape) for place in order)
    return [{"true": class_names[t], "predicted": class_names[p], "images": int(wrong[t, p])}
            for t, p in pairs if wrong[t, p]]  # fmt: skip


def assess(probs: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """All numbers of ``evaluation.json``: errors, precision and recall in percent, ECE in [0, 1], the rest as it is.

    Args:
        probs: ``[N, classes]``.
        labels: ``[N]`` int.
        class_names: one a class.
    """
    from sesemi.inference import predictions

    matrix, bins = predictions.confusion(probs, labels), reliability(probs, labels)
    return {
        "images": len(labels),
        "test_error": predictions.error_percent(probs, labels),
        "expected_calibration_error": expected_calibration_error(probs, labels),
        "negative_log_likelihood": negative_log_likelihood(probs, labels),
        "class_names": list(class_names),
        "classes": by_class(matrix, class_names),
        "confusions": confusions(matrix, class_names),
        "confusion_matrix": matrix.tolist(),
        "reliability": [
            {"up_to": (m + 1) / BINS, "images": int(n), "confidence": _or_none(c), "accuracy": _or_none(a)}
            for m, (n, c, a) in enumerate(zip(bins.counts, bins.confidence, bins.accuracy, strict=True))
        ],
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def to_text(found: dict[str, Any]) -> str:
    """What is printed."""
    views = "one view" if found["views"] == 1 else f"mean of {found['views']} views"
    width = max(5, *(len(name) for name in found["class_names"]))
    lines = [f"{'class':{width}}  images  error [%]  precision [%]  recall [%]"]
    for row in found["classes"]:
        error, precision, recall = (
            "-" if row[k] is None else f"{row[k]:.2f}" for k in ("error", "precision", "recall")
        )
        lines.append(f"{row['class']:{width}}  {row['images']:6}  {error:>9}  {precision:>13}  {recall:>10}")
    if found["confusions"]:
        lines.append("most frequent confusions:")
        lines += [f"  {row['images']:5}  {row['true']} taken for {row['predicted']}" for row in found["confusions"]]
    lines += [
        f"expected calibration error {100 * found['expected_calibration_error']:.2f} % ({BINS} bins)",
        f"negative log-likelihood {found['negative_log_likelihood']:.4f}",
        f"error {found['test_error']:.2f} % of {found['images']} images ({views})",
    ]
    return "\n".join(lines)


def write(folder: Path, found: dict[str, Any], bins: Reliability) -> None:
    """Write ``confusion.png``, ``reliability.png`` and, last, ``evaluation.json``.

    Raises:
        InputError: the disk refuses.
    """
    from sesemi.report import pictures
    from sesemi.runs.checkpoints import CheckpointError, write_atomically, write_whole

    pictures = {
        "confusion.png": pictures.confusion_matrix(
            np.array(found["confusion_matrix"]), found["class_names"], views=found["views"]
        ),
        "reliability.png": reliability_diagram(bins, found["expected_calibration_error"]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, png in pictures.items():
            write_whole(folder / name, lambda path, png=png: path.write_bytes(png))
        write_atomically(folder / "evaluation.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be written to ({error.strerror})") from error
    except CheckpointError as error:
        raise InputError(str(error)) from error


def main(arguments: Sequence[str] | None = None, program: str = "python -m sesemi evaluate") -> int:
    """Read, classify, count, print and write.

    Returns:
        Exit code: 0 done, 2 what cannot be evaluated (one line on stderr), 130 interrupted.
    """
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("model", metavar="MODEL", help="a run folder, such as runs/NAME, or its model.keras")
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="a data set, such as digits or cifar10 (its test images), or a folder with CLASS/... or test/CLASS/...",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder with the data set's files or its official archive (default, for folder: that of the run)",
    )
    parser.add_argument(
        "--labels-file", metavar="FILE", help="for folder: a table path,label (default: that of the run, if it had one)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="for numbers and pictures (default: evaluation-DATASET by the model)"
    )
    classifying.add_model_flags(parser)
    args = parser.parse_intermixed_args(arguments)
    return classifying.run(program, lambda: _assess(args))


def _of_run(folder: Path, args) -> dict[str, str | None]:
    """Where the pictures and labels of ``folder`` are, and what the model was trained on: as said, else as in the run.

    Without its table of labels, other pictures would be set aside as the test than in the run.
    """
    if args.labels_file is not None and args.dataset != "folder":
        raise InputError(f"--labels-file {args.labels_file}: of use only with folder; leave it out")
    given = {"data_dir": args.data_dir, "labels_file": args.labels_file, "trained_on": None}
    settings, results = folder / "config.json", folder / "results.json"
    if args.dataset != "folder" or not settings.is_file():
        return given
    try:
        config, _ = config_module.from_json(settings.read_text(encoding="utf-8"))
        trained_on = json.loads(results.read_text(encoding="utf-8"))["data_sha256"] if results.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        print(f"{folder}: its config.json or results.json cannot be used ({error})", file=sys.stderr)
        return given
    if config.dataset == "folder":
        if not checks.wants_extra(vars(config)):
            given["trained_on"] = trained_on
        given["data_dir"] = args.data_dir or config.data_dir
        if os.path.realpath(given["data_dir"]) == os.path.realpath(config.data_dir):
            given["labels_file"] = args.labels_file or config.labels_file
    return given


def _place_of(dataset: str) -> str:
    from sesemi.inference import inputs

    return dataset if inputs.is_named(dataset) else os.path.realpath(dataset)


def _free(folder: Path, dataset: str) -> Path:
    """The folder, or with a number behind its name: the first that holds no evaluation on other data."""
    for number in itertools.count(1):
        found = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            if json.loads((found / "evaluation.json").read_text(encoding="utf-8"))["dataset"] == dataset:
                return found
        except FileNotFoundError:
            return found
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _assess(args) -> None:
    from sesemi.inference import inputs

    inputs.refuse_unknown_set(args.dataset, args.data_dir)
    place = Path(args.model)
    name = args.dataset if inputs.is_named(args.dataset) else Path(args.dataset).resolve().name
    folder = args.output or _free(
        (place if place.is_dir() else place.parent) / f"evaluation-{name.replace(':', '-')}", _place_of(args.dataset)
    )
    classifying.refuse_unwritable("--output", folder)
    data = _of_run(place if place.is_dir() else place.parent, args)
    saved = classifying.load(args.model, args.gpu)
    items, labels, notes = inputs.test_set(args.dataset, saved=saved, **data)
    for note in notes:
        print(note, file=sys.stderr)
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
    found = about | assess(probs, whole, saved.class_names)
    write(folder, found, reliability(probs, whole))
    if found["broken"]:
        print(f"{found['broken']} of {len(labels)} pictures could not be decoded and are left out", file=sys.stderr)
    print(to_text(found))
    print(f"written: {folder / 'evaluation.json'}, confusion.png, reliability.png")
