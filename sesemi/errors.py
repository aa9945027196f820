"""Error that a user caused and can cure."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad arguments, data or folder.

    The error speaks of settings by their names, as Python code does: ``epochs=0: must lie from 1 to 1000000``. Inside
    of `problem` and `cure` a setting stands in backticks: ```labels``` or ```promote=threshold```. The command line
    shows the same error with its flags (`sesemi.commands.parser.as_typed`) and exits with code 2.

    Args:
        problem: Fault, in one line.
        setting: Name of the setting at fault; a hyper-parameter of the method is called ``arguments.NAME``. None if
            no setting is at fault.
        value: Value that was received; None if there is none to show.
        cure: Advice on what to do, in one line.

    Attributes:
        left_out: Path of each picture that had been left out until then, and the reason.
    """

    left_out: tuple[tuple[str, str], ...] = ()

    def __init__(self, problem: str, *, setting: str | None = None, value: object = None, cure: str | None = None):
        super().__init__(problem)
        self.problem, self.setting, self.value, self.cure = problem, setting, value, cure

    def __str__(self) -> str:
        return self.said(self.setting if self.value is None else f"{self.setting}={self.value}")

    def said(self, head: str | None) -> str:
        """Return the whole message behind `head`, which names the setting and its value."""
        text = self.problem if self.cure is None else f"{self.problem}; {self.cure}"
        return text if self.setting is None else f"{head}: {text}"

    def __reduce__(self):
        return _made, (self.problem, self.setting, self.value, self.cure)


def did_you_mean(name: object, known: Iterable[object]) -> str | None:
    """Return a question for a name that nobody knows, such as ``did you mean fixmatch?``; None if none is like it."""
    names = {str(other).lower(): str(other) for other in known}
    close = difflib.get_close_matches(str(name)[:100].lower(), names, n=2, cutoff=0.6)
    return f"did you mean {' or '.join(names[other] for other in close)}?" if close else None


def _made(problem: str, setting: str | None, value: object, cure: str | None) -> InputError:
    return InputError(problem, setting=setting, value=value, cure=cure)
