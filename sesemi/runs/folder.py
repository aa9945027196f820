"""`RunFolder`: the files of one run by their names, read and compared in one place."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from sesemi.config import Origins, RunConfig, from_json, to_json
from sesemi.errors import InputError
from sesemi.files import write

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
        self.checkpoints, self.best_weights = path / "checkpoints", path / "best.weights.h5"
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
            return from_json(self.config_file.read_text(encoding="utf-8"))
        except InputError as error:
            raise InputError(f"{self.config_file}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path}: not the folder of a run ({self.config_file.name} cannot be read: {error})"
            ) from error

    def results(self) -> dict[str, Any]:
        """Return the content of ``results.json``.

        Raises:
            UnfinishedError: There is no such file.
            InputError: It is damaged.
        """
        try:
            found = json.loads(self.results_file.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise TypeError("it holds no object")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnfinishedError(f"{self.path}: no finished run ({self.results_file.name} is missing)") from error
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: {self.results_file.name} cannot be read ({error})") from error
        return found

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

    def refuse_changed_files(self, files_sha256: str | None) -> None:
        """Refuse a finished run whose pictures or labels have changed since.

        Args:
            files_sha256: Hash of the files as they are now; None if they cannot be looked at.

        Raises:
            InputError: They have changed.
        """
        before = self.results().get("files_sha256")
        if before is not None and files_sha256 not in (before, None):
            raise InputError(f"{self.path} is finished, and its pictures or labels have changed since", cure=_OR_REMOVE)

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
            before = json.loads(self.split_file.read_text())
        except ValueError as error:
            raise InputError(
                f"{self.split_file} is damaged ({error})", cure="remove the folder, or give another `name`"
            ) from error
        if any(split.get(name) != value for name, value in before.items()):
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
        if left_out:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([("path", "why"), *left_out])
            write(self.left_out, text.getvalue())
        write(self.split_file, json.dumps(split) + "\n")
