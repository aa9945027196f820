"""Refusals as a user sees them on the command line."""

import contextlib
import re

import pytest

from sesemi.commands.parser import as_typed
from sesemi.errors import InputError


@contextlib.contextmanager
def refused(words=""):
    """Expect an `InputError` whose one line on the command line is matched by the regular expression `words`."""
    with pytest.raises(InputError) as error:
        yield error
    said = as_typed(error.value)
    assert re.search(words, said), said
    assert "\n" not in said
