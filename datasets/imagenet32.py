"""ImageNet at 32 x 32 (Chrabaszcz et al. 2017, arXiv:1707.08819), as TensorFlow Datasets has it; without its labels."""

import socket
import urllib.request
from pathlib import Path

from sesemi.datasets import tfds_builder, tfds_records
from sesemi.datasets.base import EXTRA_FORMS, one_line

_NAME = "imagenet_resized/32x32"
_HOST = "www.image-net.org"
_SIDE = 32


def open_or_download(place: Path | None, flag: str) -> tuple[tfds_records.RecordImages, tuple[str, ...]]:
    """Open it where it is prepared, or have it downloaded and prepared.

    Args:
        place: Data folder of TFDS; None: its own default.
        flag: Beginning of every message.

    Returns:
        The training images, in the order of the files, and lines for the user.

    Raises:
        FileNotFoundError: If it is not there and cannot be made.
        ValueError: If its files are damaged.
    """
    import tensorflow_datasets as tfds

    try:
        with tfds_builder.quiet(tfds):
            builder = tfds_builder.builder(tfds, _NAME, place)
            if not builder.is_prepared():
                # TFDS without a network tries again for minutes, but this look-up fails at once. Behind a proxy only
                # the proxy may know the name.
                if not urllib.request.getproxies():
                    socket.getaddrinfo(_HOST, 80)
                tfds.enable_progress_bar()
                builder.download_and_prepare()
    # The cure is the same for every failure.
    except Exception as error:
        raise FileNotFoundError(
            f"{flag}: {_NAME} of TFDS is not in {place or tfds.core.constants.DATA_DIR} and could not be made "
            f"({one_line(error)}); prepare it where there is a network and copy the folder, or use "
            f"{EXTRA_FORMS}"
        ) from error
    return _training_images(builder, flag), (f"ImageNet32: {builder.data_dir}",)


def _training_images(builder, flag: str) -> tfds_records.RecordImages:
    try:
        return tfds_records.of_splits(builder, ["train"], "image", _SIDE)
    except OSError as error:
        raise ValueError(
            f"{flag}: {builder.data_dir} cannot be read ({one_line(error)}); remove it, get it again"
        ) from error
