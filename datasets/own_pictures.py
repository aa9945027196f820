"""Pictures that this program has made, which are no data: how they are told from a user's."""

import os

# `sesemi.report.pictures` writes it into each; those of its first versions have the mark of matplotlib and these names.
MARK = b"tEXtSoftware\0sesemi"
_MATPLOTLIB = b"tEXtSoftware\0Matplotlib"
_NAMES = ("preview", "views", "curves", "confusion", "reliability", "pseudo_labels", "comparison")
_ENDS = "-pictures.png"
# The mark stands in front of the pixels.
_HEAD = 400


def is_one(path: str) -> bool:
    """Return whether a PNG is a picture of this program; a file that cannot be read is none."""
    # A folder may hold a million, and these calls take half the time of `open`.
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        head = os.read(handle, _HEAD)
    except OSError:
        return False
    finally:
        os.close(handle)
    if b"Software" not in head:
        return False
    name = os.path.basename(path)
    known = name.removesuffix(".png") in _NAMES or name.endswith(_ENDS)
    return MARK in head or (known and _MATPLOTLIB in head)
