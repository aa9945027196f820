"""Pictures that this program has made, which are no data: how they are told from a user's."""

# `sesemi.report.pictures` writes it into each; those of its first versions have the mark of matplotlib and these names.
MARK = b"tEXtSoftware\0sesemi"
_MATPLOTLIB = b"tEXtSoftware\0Matplotlib"
_NAMES = ("preview", "views", "curves", "confusion", "reliability", "pseudo_labels", "comparison")
_ENDS = "-pictures.png"
# The mark stands in front of the pixels.
_HEAD = 400


def is_one(path: str) -> bool:
    """Return whether a PNG is a picture of this program; a file that cannot be read is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    name = path.replace("\\", "/").rpartition("/")[2]
    known = name.removesuffix(".png") in _NAMES or name.endswith(_ENDS)
    return MARK in head or (known and _MATPLOTLIB in head)
