"""ImageNet at 32 x 32 (Chrabaszcz et al. 2017, arXiv:1707.08819), as TensorFlow Datasets has it; without its labels."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets import tfds_sets
from datasets.base import EXTRA_FORMS, one_line

_NAME = "imagenet_resized/32x32"
_HOST = "www.image-net.org"
_CHUNK = 1024


class ImageNet32:
    """The training images, in the order of the files; only to be read from the first to the last."""

    def __init__(self, builder, flag: str):
        self.builder, self.flag = builder, flag
        self.shape = (builder.info.splits["train"].num_examples, 32, 32, 3)

    def pieces(self, positions: np.ndarray) -> Iterator[np.ndarray]:
        """The images at increasing positions."""
        import tensorflow_datasets as tfds

        start = 0
        for piece in self._all(tfds) if len(positions) else ():
            first, last = np.searchsorted(positions, [start, start + len(piece)])
            if first < last:
                yield piece[positions[first:last] - start]
            start += len(piece)
            if last == len(positions):
                return

    def _all(self, tfds) -> Iterator[np.ndarray]:
        data = self.builder.as_dataset(
            split="train",
            shuffle_files=False,
            # One file after the other.
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
            decoders=tfds.decode.PartialDecoding({"image": True}),
        )
        try:
            for batch in tfds.as_numpy(data.batch(_CHUNK).prefetch(1)):
                yield batch["image"]
        # What a damaged file makes of TFDS is any error at all.
        except Exception as error:
            raise ValueError(
                f"{self.flag}: {self.builder.data_dir} cannot be read ({one_line(error)}); remove it, get it again"
            ) from error


def open_or_download(place: Path | None, flag: str) -> tuple[ImageNet32, tuple[str, ...]]:
    """Where it is prepared, or have it downloaded and prepared.

    Args:
        place: TFDS's data folder; None: its own default.
        flag: with which every message begins.

    Returns:
        The images, and lines for the user.

    Raises:
        FileNotFoundError: it is not there and cannot be made.
    """
    if place is not None and not place.is_dir():
        raise FileNotFoundError(f"{flag}: there is no folder {place}; make it, or use {EXTRA_FORMS}")
    import tensorflow_datasets as tfds

    try:
        with tfds_sets.quiet(tfds):
            builder = tfds.builder(_NAME, data_dir=place)
            if not builder.is_prepared():
                # Offline, TFDS tries again for minutes; a proxy knows names that we do not.
                if not urllib.request.getproxies():
                    socket.getaddrinfo(_HOST, 80)
                tfds.enable_progress_bar()
                builder.download_and_prepare()
    # Whatever fails in there, the way out is the same.
    except Exception as error:
        raise FileNotFoundError(
            f"{flag}: {_NAME} of TFDS is not in {place or tfds.core.constants.DATA_DIR} and could not be made "
            f"({one_line(error)}); prepare it where there is a network and copy the folder, or use "
            f"{EXTRA_FORMS}"
        ) from error
    return ImageNet32(builder, flag), (f"ImageNet32: {builder.data_dir}",)
