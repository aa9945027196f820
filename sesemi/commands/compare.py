"""``sesemi compare RUN...``: make a table and a picture of the errors of several runs."""

import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sesemi.commands.parser import OneLineParser, finish
from sesemi.errors import InputError
from sesemi.files import make_folder, refuse_unwritable, write
from sesemi.runs.folder import RunFolder, UnfinishedError
from sesemi.terminal import printable, show, tell


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: Path of the run folder.
        results: Content of ``results.json``.
        settings: Settings of ``config.json`` that its numbers depend on. The arguments of its method have their own
            names.
        name_of_data: Name of the data set, or of the folder of pictures.
    """

    folder: Path
    results: dict[str, Any]
    settings: dict[str, Any]
    name_of_data: str

    @property
    def test(self) -> str:
        """Hash of its test; in its place, where a run from before has none, that of its training data."""
        return self.results.get("test_sha256") or self.results["data_sha256"]

    @property
    def split(self) -> str:
        """Hash of its split."""
        return self.results["split_sha256"]


def read(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        UnfinishedError: It holds no finished run.
        InputError: Its files are damaged.
    """
    found = RunFolder(folder)
    results = found.results()
    config, _ = found.config()
    settings = config.identity()
    name = Path(config.data_dir).name if config.dataset == "folder" and config.data_dir else config.dataset
    return Run(folder, results, settings | settings.pop("arguments"), printable(name))


def _finished(folders: Sequence[Path]) -> list[Run]:
    """Return the finished runs of these folders. If there are any, the unfinished ones are named on stderr.

    Raises:
        UnfinishedError: No run is finished.
    """
    runs, unfinished = [], []
    for folder in folders:
        try:
            runs.append(read(folder))
        except UnfinishedError as error:
            unfinished.append(error)
    for error in unfinished:
        if not runs:
            raise error
        tell(f"{error}; left out")
    return runs


def group(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return groups of runs that differ only in the seed, by a name that tells the groups apart."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(json.dumps(_shared(run), sort_keys=True), []).append(run)
    return {_name(members[0], found.values()): members for members in found.values()}


def _shared(run: Run) -> dict[str, str]:
    """Return the settings that runs of one group share. The hash of the split tells which images are labeled."""
    return {k: json.dumps(v) for k, v in run.settings.items() if k not in ("seed", "labels_from")}


def _name(run: Run, groups) -> str:
    rivals = [_shared(g[0]) for g in groups if g[0].settings["method"] == run.settings["method"]]
    mine = _shared(run)
    differing = [f"{k}={v.strip(chr(34))}" for k, v in mine.items() if any(other.get(k) != v for other in rivals)]
    return " ".join([run.settings["method"], *differing])


def comparable(runs: Sequence[Run], *, different_labels: bool) -> dict[str, dict[str, list[Run]]]:
    """Return the groups of the runs that can be compared with each other, under a title for each such table.

    Those of one table were evaluated on the same test. Their labeled images are the same too, over all seeds of each
    group, or with `different_labels` they may be others.

    Raises:
        InputError: A run is given twice.
    """
    tests: dict[str, list[Run]] = {}
    for run in runs:
        tests.setdefault(run.test, []).append(run)
    tables = []
    for members in tests.values():
        groups = group(members)
        _refuse_twice(groups)
        parts: dict[frozenset[str], dict[str, list[Run]]] = {}
        for name, same in groups.items():
            labeled = frozenset() if different_labels else _splits(same)
            parts.setdefault(labeled, {})[name] = same
        tables += parts.values()
    titles = [_title(groups) for groups in tables]
    # The first run of each tells apart what else has the same title.
    return {
        title if titles.count(title) == 1 else f"{title} (such as {next(iter(groups.values()))[0].folder})": groups
        for title, groups in zip(titles, tables, strict=True)
    }


def _refuse_twice(groups: dict[str, list[Run]]) -> None:
    for members in groups.values():
        seeds = [(run.settings["seed"], run.split) for run in members]
        if len(set(seeds)) < len(seeds):
            twice = next(run for run in members if seeds.count((run.settings["seed"], run.split)) > 1)
            raise InputError(f"{twice.folder}: a run with these settings and this seed is given twice; give each once")


def _title(groups: dict[str, list[Run]]) -> str:
    runs = list(itertools.chain(*groups.values()))
    first = runs[0]
    tested = first.results.get("test_images")
    of_test = f", {tested:,} test images" if isinstance(tested, int) else ""
    return f"{first.name_of_data}{of_test}, {_labels(runs)} labels"


def _labels(runs: Sequence[Run]) -> str:
    """Return the numbers of labeled images of some runs."""
    return " or ".join(map(str, sorted({run.results.get("labels", "?") for run in runs}, key=str)))


def table(groups: dict[str, list[Run]]) -> list[dict[str, Any]]:
    """Return a row for each group: name, runs, labels, updates, errors, gains over the supervised run of one split."""
    supervised = [name for name, members in groups.items() if _is_supervised(members[0])]
    # With several supervised groups, the choice would be ours.
    members = groups[supervised[0]] if len(supervised) == 1 else []
    baselines = {run.split: run.results["test_error"] for run in members}
    rows = []
    for name, members in groups.items():
        gains = [baselines[run.split] - run.results["test_error"] for run in members if run.split in baselines]
        others = [run.results.get(f"{other}_test_error") for run in members for other in ("student", "teacher")]
        rows.append(
            {
                "name": name,
                "runs": len(members),
                "labels": _labels(members),
                "updates": members[0].results["steps"],
                "errors": [run.results["test_error"] for run in members],
                "views": [e for run in members if (e := run.results.get("test_error_views")) is not None],
                "other": [error for error in others if error is not None],
                "gains": [] if name in supervised else gains,
            }
        )
    return sorted(rows, key=lambda row: statistics.mean(row["errors"]))


def _is_supervised(run: Run) -> bool:
    settings = run.settings
    return settings["method"] == "supervised" and settings["self_supervision"] == settings["promote"] == "none"


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table as text. Every error is in percent, as mean and standard deviation."""
    header = ("run", "seeds", "labels", "updates", "test error [%]", "several views", "the other network")
    header = (*header, "gain over supervised")
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for row in rows:
        cells = (
            *(row[k] for k in ("name", "runs", "labels", "updates")),
            *(spread(row[k]) for k in ("errors", "views", "other")),
        )
        lines.append(f"| {' | '.join(map(str, cells))} | {spread(row['gains'], sign='+')} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float], sign: str = "") -> str:
    """Return the mean and, of several values, the standard deviation; an empty text if there are no values."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def picture(tables: dict[str, list[dict[str, Any]]]) -> bytes:
    """Return a PNG with a panel for each table, a bar for each row and a point for each run."""
    from sesemi.report import pictures

    panels = [(title, [r["name"] for r in rows], [r["errors"] for r in rows]) for title, rows in tables.items()]
    return pictures.error_bars(panels)


def main(arguments: Sequence[str] | None = None, program: str = "sesemi compare") -> int:
    """Read, compare, print and write.

    Returns:
        Exit code: 0 done, 2 runs that cannot be read or compared (one line on stderr), 130 interrupted.
    """
    parser = OneLineParser(prog=program, description=__doc__.split(": ", 1)[1])
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="A run folder, such as runs/NAME.")
    parser.add_argument(
        "--output", type=Path, default=Path("comparison"), help="Folder for table and picture (default: comparison)."
    )
    parser.add_argument(
        "--different-splits",
        action="store_true",
        help="Put runs on the same test into one table although other images are labeled.",
    )
    args = parser.parse_args(arguments)
    return finish(program, lambda: _compare(args), traceback=args.traceback)


def _compare(args) -> None:
    groups = comparable(_finished(args.runs), different_labels=args.different_splits)
    rows = {title: table(members) for title, members in groups.items()}
    parts = [to_markdown(r) if len(rows) == 1 else f"## {title}\n\n{to_markdown(r)}" for title, r in rows.items()]
    text = "\n".join(parts)
    refuse_unwritable("output", args.output)
    make_folder(args.output)
    write(args.output / "comparison.md", text)
    write(args.output / "comparison.png", picture(rows))
    show(*text.splitlines())
    for note in _notes(groups, rows, different_labels=args.different_splits):
        show(f"note: {note}")
    show(f"picture: {args.output / 'comparison.png'}")


def _notes(groups, rows, *, different_labels: bool) -> Iterator[str]:
    """Yield what a reader of the tables has to know."""
    runs = {title: list(itertools.chain(*members.values())) for title, members in groups.items()}
    if len(groups) > 1:
        yield f"{len(groups)} tables, because errors on other tests or from other labeled images say little"
    if len({members[0].test for members in runs.values()}) < len(groups):
        yield "some tables have the same test and other labeled images; --different-splits puts these into one"
    if different_labels and any(len({_splits(m) for m in members.values()}) > 1 for members in groups.values()):
        yield "there are runs of one table that had other labeled images than the others"
    if any(len({row["updates"] for row in table}) > 1 for table in rows.values()):
        yield "the runs had different numbers of updates"
    if any(sum(_is_supervised(m[0]) for m in members.values()) > 1 for members in groups.values()):
        yield "no gains, because there are several kinds of supervised runs"


def _splits(members: Sequence[Run]) -> frozenset[str]:
    return frozenset(run.split for run in members)
