"""ImageNet at 32 x 32 (Chrabaszcz et al. 2017, arXiv:1707.08819), as TensorFlow Datasets has it; without its labels."""

import socket
import urllib.request
from pathlib import Path

from sesemi.datasets import tfds_builder, tfds_records
from sesemi.datasets.base import EXTRA_FORMS
from sesemi.errors import InputError
from sesemi.terminal import one_line

_NAME = "imagenet_resized/32x32"
_HOST = "www.image-net.org"
_SIDE = 32


def open_or_download(place: Path | None, text: str) -> tuple[tfds_records.RecordImages, tuple[str, ...]]:
    """Open the images where they are prepared, or have them downloaded and prepared.

    Args:
        place: TFDS's data folder; None: its own default.
        text: Source as the user gave it, for messages.

    Returns:
        Training images, in the order of the files, and lines for the user.

    Raises:
        InputError: If they are not there and cannot be made, or their files are damaged.
    """
    import tensorflow_datasets as tfds

    try:
        with tfds_builder.quiet(tfds):
            builder = tfds_builder.builder(tfds, _NAME, place)
            if not builder.is_prepared():
                # Offline, TFDS tries again for minutes; a proxy knows names that we do not.
                if not urllib.request.getproxies():
                    socket.getaddrinfo(_HOST, 80)
                tfds.enable_progress_bar()
                builder.download_and_prepare()
    # Whatever fails in there, the cure is the same.
    except Exception as error:
        raise InputError(
            (
                f"{_NAME} of TFDS is not in {place or tfds.core.constants.DATA_DIR} and could not be made "
                f"({one_line(error)})"
            ),
            setting="extra_source",
            value=text,
            cure=f"prepare it where there is a network and copy the folder, or use {EXTRA_FORMS}",
        ) from error
    return _training_images(builder, text), (f"ImageNet32: {builder.data_dir}",)


def _training_images(builder, text: str) -> tfds_records.RecordImages:
    try:
        return tfds_records.of_splits(builder, ["train"], "image", _SIDE)
    except OSError as error:
        raise InputError(
            f"{builder.data_dir} cannot be read ({one_line(error)})",
            setting="extra_source",
            value=text,
            cure="remove it, get it again",
        ) from error
