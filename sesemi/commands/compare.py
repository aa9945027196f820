"""``sesemi compare RUN...``: make a table and a picture of the errors of several runs."""

import itertools
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sesemi.commands.parser import OneLineParser, finish
from sesemi.errors import InputError
from sesemi.files import refuse_unwritable, write
from sesemi.runs.folder import RunFolder, UnfinishedError
from sesemi.terminal import show, tell


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: Path of the run folder.
        results: Content of ``results.json``.
        settings: Settings of ``config.json`` that its numbers depend on. The arguments of its method have their own
            names.
    """

    folder: Path
    results: dict[str, Any]
    settings: dict[str, Any]

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
    return Run(folder, results, settings | settings.pop("arguments"))


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


def refuse_unlike(groups: dict[str, list[Run]], *, different_splits: bool) -> None:
    """Refuse runs that cannot be compared.

    Raises:
        InputError: The data differ, a run is given twice, or, without `different_splits`, the labeled images differ.
    """
    runs = list(itertools.chain(*groups.values()))
    for run in runs[1:]:
        if run.results["data_sha256"] != runs[0].results["data_sha256"]:
            raise InputError(
                f"{runs[0].folder} and {run.folder} were trained on different data; compare runs on the same"
            )
    for members in groups.values():
        seeds = [(run.settings["seed"], run.split) for run in members]
        if len(set(seeds)) < len(seeds):
            twice = next(run for run in members if seeds.count((run.settings["seed"], run.split)) > 1)
            raise InputError(f"{twice.folder}: a run with these settings and this seed is given twice; give each once")
    if different_splits:
        return
    (first, *others) = groups.items()
    for name, members in others:
        missing = {run.split for run in first[1]} ^ {run.split for run in members}
        if missing:
            run = next(run for run in [*first[1], *members] if run.split in missing)
            raise InputError(
                f"{run.folder}: {first[0]!r} and {name!r} do not both have its split (sha256 {run.split[:8]}…), and "
                "errors from other labeled images say little; give runs of the same splits, or --different-splits"
            )


def table(groups: dict[str, list[Run]]) -> list[dict[str, Any]]:
    """Return a row for each group: name, runs, updates, errors, and gains over the supervised run of the same split."""
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
    header = ("run", "seeds", "updates", "test error [%]", "several views", "the other network", "gain over supervised")
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for row in rows:
        cells = (row["name"], row["runs"], row["updates"], *(spread(row[k]) for k in ("errors", "views", "other")))
        lines.append(f"| {' | '.join(map(str, cells))} | {spread(row['gains'], sign='+')} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float], sign: str = "") -> str:
    """Return the mean and, of several values, the standard deviation; an empty text if there are no values."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def picture(rows: list[dict[str, Any]]) -> bytes:
    """Return a PNG with a bar for each row and a point for each run."""
    from sesemi.report import pictures

    return pictures.error_bars([row["name"] for row in rows], [row["errors"] for row in rows])


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
    parser.add_argument("--different-splits", action="store_true", help="Compare although other images are labeled.")
    args = parser.parse_args(arguments)
    return finish(program, lambda: _compare(args), traceback=args.traceback)


def _compare(args) -> None:
    groups = group(_finished(args.runs))
    refuse_unlike(groups, different_splits=args.different_splits)
    rows = table(groups)
    text = to_markdown(rows)
    refuse_unwritable("output", args.output)
    args.output.mkdir(parents=True, exist_ok=True)
    write(args.output / "comparison.md", text)
    write(args.output / "comparison.png", picture(rows))
    show(*text.splitlines())
    if len({row["updates"] for row in rows}) > 1:
        show("note: the runs had different numbers of updates")
    if sum(_is_supervised(members[0]) for members in groups.values()) > 1:
        show("note: no gains, because there are several kinds of supervised runs")
    show(f"picture: {args.output / 'comparison.png'}")
