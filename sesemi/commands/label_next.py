"""``sesemi label-next RUN``: find the unlabeled images of a run that are most worth labeling next."""

import argparse
import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sesemi import tables
from sesemi.commands import classifying
from sesemi.commands.parser import OneLineParser, finish
from sesemi.errors import InputError
from sesemi.files import refuse_unwritable, write
from sesemi.reading import text_of
from sesemi.runs.folder import RunFolder
from sesemi.terminal import one_line, show

SCORES = ("margin", "entropy", "disagreement")
COLUMNS = ("path", "label", "guess", "probability", "score")
_MOST_PICTURES = 120
_A_ROW = 8
_LARGEST_MIB = 64


def main(arguments: Sequence[str] | None = None, program: str = "sesemi label-next") -> int:
    """Rank, print and write.

    Returns:
        Exit code: 0 done, 2 no such run, or nothing to label (one line on stderr), 130 interrupted.
    """
    args = _parser(program).parse_args(arguments)
    return finish(program, lambda: _rank(args), traceback=args.traceback)


def _rank(args) -> None:
    config, _ = RunFolder(args.run).config()
    config = config if args.data_dir is None else config.replace(data_dir=args.data_dir)
    table = args.csv or args.run / "label_next.csv"
    _refuse_to_overwrite(table, _picture_of(table))
    refuse_unwritable("csv", table.parent)
    if args.count < 1:
        raise InputError(f"--count {args.count}: must be 1 or more")
    _write(args, config, classifying.load(args.run, args.gpu), table)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("run", metavar="RUN", type=Path, help="Folder of a finished run, such as runs/NAME.")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="Number of images to name (default: 20).")
    parser.add_argument(
        "--by",
        choices=SCORES,
        default="margin",
        help="Score. margin: the two best classes are close. entropy: all classes are. disagreement: "
        "student and teacher, "
        "or one view and the mean of several, say different things (default: margin).",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="Table to write (default: RUN/label_next.csv). A picture, FILE-pictures.png, lies beside it.",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="Folder where the images are now (default: where they were).")
    classifying.add_as_is_flag(parser)
    classifying.add_device_flag(parser)
    return parser


def _picture_of(table: Path) -> Path:
    return table.with_name(f"{table.stem}-pictures.png")


def _refuse_to_overwrite(table: Path, picture: Path) -> None:
    """Refuse to overwrite files, except those of this command whose table nobody has filled in."""
    if not os.path.lexists(table):
        if os.path.lexists(picture):
            raise InputError(f"{picture}: is there already, and would be overwritten; give another --csv")
        return
    try:
        header, *rows = [*csv.reader(io.StringIO(text_of(table, _LARGEST_MIB), newline=""))] or [()]
    except (OSError, csv.Error, ValueError) as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        raise InputError(f"{table}: is there and no table of label-next ({reason}); give another --csv") from error
    if tuple(header) != COLUMNS:
        raise InputError(f"{table}: is there and no table of label-next; give another --csv")
    if any(len(row) != len(COLUMNS) or row[COLUMNS.index("label")].strip() for row in rows):
        raise InputError(f"{table}: labels are filled in there already; give another --csv")


def _write(args, config, model, table: Path) -> None:
    import numpy as np

    from sesemi.assembly import materials as assembly
    from sesemi.inference import evaluation_sets
    from sesemi.report import pictures
    from sesemi.report.names import drawable

    picture = _picture_of(table)
    materials = assembly.load(config)
    data = materials.data
    same = evaluation_sets.first_other_class(data.class_names, model.class_names) is None
    if not same or data.train_images.shape[1:] != model.image_shape:
        raise InputError(f"{args.run}: its model was trained on other classes or image sizes than the data have now")
    candidates = _candidates(materials)
    probs = _probabilities(model, data.train_images, candidates)
    worth = _worth(args.by, args.run, model, data.train_images, candidates, probs)
    first = np.argsort(-worth, kind="stable")[: args.count]
    names = [str(i) if data.paths is None else data.paths[i] for i in candidates[first]]
    guesses = [model.class_names[label] for label in probs[first].argmax(axis=1)]
    sure = probs[first].max(axis=1)
    text, marked = to_csv(zip(names, guesses, sure, worth[first], strict=True), as_is=args.as_is)
    shown = candidates[first[:_MOST_PICTURES]]
    words = drawable(model.class_names, 14)
    captions = [f"{words[n]} {100 * p:.0f} %" for n, p in zip(probs[first].argmax(axis=1), sure, strict=True)]
    rows = [
        (
            f"line {start + 2} of the table on",
            data.train_images[shown[start : start + _A_ROW]],
            captions[start : start + _A_ROW],
        )
        for start in range(0, len(shown), _A_ROW)
    ]
    grid = pictures.views_grid(rows)
    write(picture, grid)
    write(table, text)
    show(f"{len(first)} of {len(candidates)} unlabeled images, by {args.by}: {table}   picture: {picture}")
    if len(shown) < len(first):
        show(f"the picture shows the first {len(shown)}")
    classifying.tell_marked(marked)
    if config.dataset == "folder":
        again = " beside the lines of the table that the run had" if config.labels_file else ""
        show(f"fill in the column 'label' and train again with --labels-file {table}{again}")


def to_csv(rows: Iterable[tuple[str, str, float, float]], *, as_is: bool = False) -> tuple[str, int]:
    """Return the text of a table to fill in, which `datasets.label_table` reads back, and how many cells were marked.

    Args:
        rows: Path, guess, its probability, and score of each picture.
        as_is: See `sesemi.tables.Writer`.
    """
    text = io.StringIO()
    table = tables.Writer(text, as_is=as_is)
    table.row(COLUMNS)
    for path, guess, probability, score in rows:
        table.row((path, "", guess, f"{probability:.4f}", f"{score:.4f}"))
    return text.getvalue(), table.changed


def _candidates(materials):
    """Return the indices of images without a label; where all have one, of those whose label the run did not see."""
    import numpy as np

    data, split = materials.data, materials.split
    own = np.arange(len(data.train_labels) - data.extra)
    unlabeled = own[data.train_labels[own] < 0]
    if data.validation is not None:
        unlabeled = np.setdiff1d(unlabeled, data.validation)
    if not len(unlabeled):
        unlabeled = np.setdiff1d(own, np.concatenate([split.labeled, split.validation]))
    if not len(unlabeled):
        raise InputError(f"{materials.config.run_dir}: every image is labeled; there is nothing to label next")
    return unlabeled


def _probabilities(model, images, candidates):
    from sesemi.inference import predictions

    return predictions.probabilities(predictions.Compiled(model.model), predictions.Rows(images, candidates))


def _worth(by: str, run: Path, model, images, candidates, probs) -> Any:
    if by != "disagreement":
        return worth(by, probs)
    from sesemi.inference import predictions, saved

    for other in ("student", "teacher"):
        path = RunFolder(run).other_model(other)
        if path.exists():
            return divergence(probs, _probabilities(saved.load(path), images, candidates))
    averaged = predictions.multi_view_probabilities(
        model.model, predictions.Rows(images, candidates), model.augmentation
    )
    return divergence(probs, averaged)


def worth(by: str, probs):
    """Return how much would be learned from the label of each image. Larger numbers mean more.

    Args:
        by: ``margin``: 1 minus the difference of the two largest probabilities (Scheffer et al. 2001), or ``entropy``,
            in nats.
        probs: ``[N, C]``.

    Returns:
        ``[N]`` float.
    """
    import numpy as np

    if by == "entropy":
        return -np.sum(probs * np.log(np.maximum(probs, 1e-12)), axis=1)
    second, best = np.sort(probs, axis=1)[:, -2:].T
    return 1 - (best - second)


def divergence(p, q):
    """Return the Jensen-Shannon divergence of each row, in nats, in 0 … ln 2.

    It is ``(KL(p, m) + KL(q, m)) / 2``, where m is the mean of p and q.
    """
    mean = (p + q) / 2
    return worth("entropy", mean) - (worth("entropy", p) + worth("entropy", q)) / 2
