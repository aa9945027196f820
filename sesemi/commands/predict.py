"""``sesemi predict MODEL PATH...``: name the classes of pictures, by a classifier that a run has left."""

import argparse
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sesemi import tables
from sesemi.commands.classifying import (
    MODEL_HELP,
    Progress,
    add_as_is_flag,
    add_model_flags,
    answers,
    load,
    tell_marked,
)
from sesemi.commands.parser import OneLineParser, finish
from sesemi.errors import InputError
from sesemi.files import refuse_unwritable, whole
from sesemi.terminal import printable, show, tell

_COLUMNS = ("path", "class", "probability")


def build_parser(program: str) -> OneLineParser:
    """Return the parser."""
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="Pictures, folders (all pictures in them, at any depth), or .npy files of uint8 [N, H, W, "
        "C] or [N, H, W].",
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="Write a table, whole or not at all, instead of lines."
    )
    parser.add_argument(
        "--top", type=_positive, default=1, metavar="K", help="Name the K most probable classes (default: 1)."
    )
    parser.add_argument(
        "--min-confidence",
        type=_probability,
        default=0.0,
        metavar="P",
        help="Name no class where the largest probability is below P, from 0 to 1 (default: 0).",
    )
    add_as_is_flag(parser)
    add_model_flags(parser)
    return parser


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give a number from 1")


def _probability(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give a number from 0 to 1")


def _refuse_to_overwrite(path: Path) -> None:
    """Refuse to overwrite a file, except a table of predictions or an empty file."""
    own = ",".join(_COLUMNS).encode()
    with open(path, "rb") as file:
        if file.read(len(own)) not in (own, b""):
            raise InputError(f"--csv {path}: is there and no table of predictions; give another name")


@contextlib.contextmanager
def _to_csv(path: Path, top: int, as_is: bool) -> Iterator[Callable[[str, str, Sequence[tuple[str, float]]], Any]]:
    """Yield a function that writes a row. The table appears once all of it is on the disk. Paths keep their bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial, open(partial, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = tables.Writer(file, as_is=as_is)
            yield _row_writer(table, top)
        tell_marked(table.changed)
    except OSError as error:
        if error.filename is not None and path.name not in str(error.filename):
            raise
        raise InputError(f"cannot be written: {error.strerror or error}", setting="csv", value=path) from error


def _row_writer(table: tables.Writer, top: int) -> Callable[[str, str, Sequence[tuple[str, float]]], Any]:
    more = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("class", "probability")]
    table.row([*_COLUMNS, *more])

    def write(name, best, pairs):
        row = [name]
        for kind, p in [(best, pairs[0][1]), *pairs[1:]]:
            row += [kind, f"{p:.6g}"]
        table.row(row)

    return write


@contextlib.contextmanager
def _to_stdout() -> Iterator[Callable[[str, str, Sequence[tuple[str, float]]], Any]]:
    def write(name, best, pairs):
        cells = [(best or "?", pairs[0][1]), *pairs[1:]]
        show("  ".join([printable(name), *(f"{printable(kind)}  {100 * p:.1f} %" for kind, p in cells)]))

    yield write
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None, program: str = "sesemi predict") -> int:
    """Read, classify, and print or write.

    Returns:
        Exit code: 0 done, 2 nothing could be classified (one line on stderr), 130 interrupted.
    """
    args = build_parser(program).parse_intermixed_args(arguments)
    return finish(program, lambda: _predict(args), traceback=args.traceback)


def _predict(args) -> None:
    from sesemi.inference import inputs

    if args.csv:
        refuse_unwritable("csv", args.csv.parent)
        if args.csv.exists() and not args.csv.is_file():
            raise InputError(f"--csv {args.csv}: not a file; give another name")
        if args.csv.exists():
            _refuse_to_overwrite(args.csv)
    sources = inputs.gather(args.paths)
    saved = load(args.model, args.gpu)
    if args.top > len(saved.class_names):
        raise InputError(f"--top {args.top}: the model has {len(saved.class_names)} classes; give at most that")
    for source in sources:
        inputs.Reader(saved.image_shape, saved.resize).refuse(source)
    total = sum(source.count for source in sources)
    progress = Progress(total, bar=bool(args.csv) or not sys.stdout.isatty())
    items = (item for source in sources for item in source.items())
    done = abstained = 0
    try:
        with _to_csv(args.csv, args.top, args.as_is) if args.csv else _to_stdout() as write:
            for batch, probs in answers(saved, items, progress, views=args.views):
                order = (-probs).argsort(axis=1, kind="stable")[:, : args.top]
                for name, row, classes in zip(batch.names, probs, order, strict=True):
                    pairs = [(saved.class_names[k], float(row[k])) for k in classes]
                    sure = pairs[0][1] >= args.min_confidence
                    abstained += not sure
                    write(name, pairs[0][0] if sure else "", pairs)
                done += len(batch.names)
            if not done:
                raise InputError(f"none of {total} pictures could be decoded")
    finally:
        progress.close()
    for note in itertools.chain(*(source.notes for source in sources)):
        tell(note)
    _conclude(args, done, total, abstained)


def _conclude(args, done: int, total: int, abstained: int) -> None:
    if done < total:
        tell(f"{total - done} of {total} pictures could not be decoded and are left out")
    if args.csv:
        tell(f"{done} pictures: {args.csv}")
    if args.min_confidence:
        tell(f"{abstained} of {done} pictures below {args.min_confidence:g}: no class is named")
