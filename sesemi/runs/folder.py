"""`RunFolder`: the files of one run by their names, read and compared in one place."""

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sesemi.config import Origins, RunConfig, from_file, to_json
from sesemi.errors import InputError
from sesemi.files import write
from sesemi.reading import Schema, json_object, whole_numbers
from sesemi.tables import Writer


def _percent(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 100


def _percent_or_none(value: Any) -> bool:
    return value is None or _percent(value)


def _text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _promotions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(record, dict) and type(record.get("promoted")) is int and type(record.get("right")) in (int, _NONE)
        for record in value
    )


_NONE = type(None)
# Keys of results.json and of split.json that somebody reads again, and what their values must be.
RESULTS: Schema = {
    "split_sha256": str,
    "data_sha256": str,
    "steps": int,
    "test_error": _percent,
}
OF_RESULTS: Schema = {
    "test_error_views": _percent_or_none,
    "views": int,
    "student_test_error": _percent,
    "teacher_test_error": _percent,
    "best_epoch": int,
    "test_error_at_best_validation": _percent,
    "promotions": _promotions,
    "warning": str,
    "files_sha256": _text_or_none,
}
SPLIT: Schema = {"sha256": str, "data_sha256": str, "labeled": whole_numbers, "validation": whole_numbers}
OF_SPLIT: Schema = {"labels_sha256": str, "unlabeled_count": int}

_ANOTHER = "give another `name`"
_OR_REMOVE = "give another `name`, or remove the folder"


class UnfinishedError(InputError):
    """A folder without a finished run."""


class RunFolder:
    """The folder of one run.

    Args:
        path: Path of the folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config_file, self.results_file = path / "config.json", path / "results.json"
        self.split_file, self.environment_file = path / "split.json", path / "environment.json"
        self.log, self.left_out = path / "log.csv", path / "left_out.csv"
        self.promoted, self.pseudo_labels = path / "promoted.csv", path / "pseudo_labels.csv"
        self.checkpoints, self.best_weights = path / "checkpoints", path / "best.weights.npz"
        self.model, self.best_model = path / "model.keras", path / "model_best_validation.keras"
        self.predictions, self.report = path / "predictions.npz", path / "report.html"

    def other_model(self, name: str) -> Path:
        """Return the file of the network that the method's paper does not evaluate: ``student`` or ``teacher``."""
        return self.path / f"model_{name}.keras"

    @property
    def is_finished(self) -> bool:
        """True if the run has ended with its results."""
        return self.results_file.exists()

    def config(self) -> tuple[RunConfig, Origins]:
        """Return the settings of the run and their origins.

        Raises:
            InputError: ``config.json`` is missing or damaged.
        """
        try:
            return from_file(self.config_file)
        except OSError as error:
            raise InputError(
                f"{self.path}: not the folder of a run ({self.config_file.name} cannot be read: {error.strerror})"
            ) from error

    def results(self) -> dict[str, Any]:
        """Return the content of ``results.json``.

        Raises:
            UnfinishedError: There is no such file.
            InputError: It is damaged.
        """
        try:
            return json_object(self.results_file, RESULTS, OF_RESULTS, most_mib=64)
        except OSError as error:
            raise UnfinishedError(f"{self.path}: no finished run ({self.results_file.name} is missing)") from error

    def refuse_files_of_others(self) -> None:
        """Refuse a folder, or a link to one, in which a run would write over what no run has left.

        Raises:
            InputError: The message names the first such file.
        """
        if self.config_file.exists():
            return
        for path in (self.report, self.model, self.results_file, self.log, self.predictions, self.environment_file):
            if os.path.lexists(path):
                problem = f"{path} would be overwritten, and no run has left it (no {self.config_file.name} there)"
                raise InputError(problem, cure=_ANOTHER)

    def refuse_other_run(self, identity: dict[str, Any], complete) -> None:
        """Refuse a folder that holds another run.

        Args:
            identity: All settings that the numbers of this run depend on, by name. ``steps_per_epoch`` may be None,
                which fits any number.
            complete: Function that returns the identity of the `RunConfig` that the folder has.

        Raises:
            InputError: The message says what differs.
        """
        if not self.config_file.exists():
            return
        try:
            old = complete(self.config()[0])
        except InputError as error:
            raise InputError(str(error), cure=_OR_REMOVE) from error
        new = dict(identity)
        if new["steps_per_epoch"] is None:
            new["steps_per_epoch"] = old["steps_per_epoch"]
        different = [f"{name} is {old[name]} there and {new[name]} here" for name in old if old[name] != new[name]]
        if different:
            raise InputError(f"{self.path} holds another run ({'; '.join(different)})", cure=_ANOTHER)

    def refuse_changed_files(self, have_changed: Callable[[Mapping[str, Any]], bool]) -> None:
        """Refuse a finished run whose pictures or labels have changed since.

        Args:
            have_changed: Function from the run's results to whether they have.

        Raises:
            InputError: They have changed.
        """
        before = self.results()
        if have_changed(before):
            early = (
                "" if "files_contents_sha256" in before else ", or this version reads other files than that of the run"
            )
            raise InputError(
                f"{self.path} is finished, and its pictures or labels have changed since{early}", cure=_OR_REMOVE
            )

    def refuse_other_split(self, split: dict[str, Any]) -> None:
        """Refuse a run that began with another split or other data.

        Args:
            split: Content that ``split.json`` would have now.

        Raises:
            InputError: They differ, or the file is damaged.
        """
        if not self.split_file.exists():
            return
        try:
            before = json_object(self.split_file, SPLIT, OF_SPLIT, most_mib=64)
        except InputError as error:
            raise InputError(str(error), cure="remove the folder, or give another `name`") from error
        if any(before.get(name) != value for name, value in split.items()):
            raise InputError(f"{self.path}: the data or the split differ from those the run began with", cure=_ANOTHER)

    def write_beginning(
        self, config: RunConfig, origins: Origins, split: dict[str, Any], *, environment, left_out
    ) -> None:
        """Write the files that say what a run is, unless it has begun before. ``split.json`` is written last.

        Args:
            config: Settings of the run.
            origins: Origins of their values.
            split: Content of ``split.json``.
            environment: Function that returns the content of ``environment.json``.
            left_out: Path of each picture that was left out, and the reason.
        """
        if self.split_file.exists():
            return
        write(self.config_file, to_json(config, origins))
        write(self.environment_file, json.dumps(environment(), indent=2) + "\n")
        self.write_left_out(left_out)
        write(self.split_file, json.dumps(split) + "\n")

    def write_left_out(self, left_out: Sequence[tuple[str, str]]) -> None:
        """Write ``left_out.csv``; without any picture in it there is none.

        Args:
            left_out: Path of each picture that was left out, and the reason.
        """
        if not left_out:
            self.left_out.unlink(missing_ok=True)
            return
        text = io.StringIO()
        table = Writer(text)
        for row in [("path", "why"), *left_out]:
            table.row(row)
        write(self.left_out, text.getvalue())
