"""Pictures of any size, or encoded, as pixels of one size: in TensorFlow, so that a served model can begin with it.

It follows what Pillow does when a run reads its pictures (`datasets.image_files`): a bicubic filter that widens where
it shrinks. Pillow rounds to whole numbers between rows and columns, so pixels differ by one grey level or two.
"""

import tensorflow as tf


def resized(pictures, side: int, resize: str):
    """Bring pictures of one size, whatever it is, to the size of a network.

    Args:
        pictures: ``[B, H, W, C]`` in 0 … 255.
        side: Pixels a side of the result.
        resize: ``crop``: the shorter side becomes `side`, and the middle is cut out. ``pad``: the longer side becomes
            `side`, with black bars at both ends of the shorter one.

    Returns:
        ``[B, side, side, C]`` float32 of whole numbers in 0 … 255.
    """
    pictures = tf.cast(pictures, tf.float32)
    size = tf.cast(tf.shape(pictures)[1:3], tf.float32)
    if resize == "crop":
        kept = tf.reduce_min(size)
        return _filtered(pictures, tf.constant([side, side]), side / kept, -(size - kept) / 2 * side / kept)
    inner = tf.maximum(tf.cast(tf.round(size * side / tf.reduce_max(size)), tf.int32), 1)
    found = _filtered(pictures, inner, tf.cast(inner, tf.float32) / size, tf.zeros(2))
    before = tf.cast(tf.round(tf.cast(side - inner, tf.float32) / 2), tf.int32)
    return tf.image.pad_to_bounding_box(found, before[0], before[1], side, side)


def from_files(files, side: int, channels: int, resize: str):
    """Decode JPEG, PNG, BMP or the first picture of a GIF, and bring them to the size of a network.

    An orientation that is only noted in a file (EXIF) is not followed.

    Args:
        files: ``[B]`` strings, the contents of files.
        side: See `resized`.
        channels: 1 for grey, or 3.
        resize: See `resized`.

    Returns:
        ``[B, side, side, channels]`` float32.
    """

    def decoded(file):
        picture = tf.io.decode_image(file, channels=channels, expand_animations=False)
        return tf.ensure_shape(resized(picture[None], side, resize)[0], (side, side, channels))

    return tf.map_fn(decoded, files, fn_output_signature=tf.TensorSpec((side, side, channels), tf.float32))


def _filtered(pictures, size, scale, translation):
    found = tf.raw_ops.ScaleAndTranslate(
        images=pictures,
        size=size,
        scale=scale * tf.ones(2),
        translation=translation,
        kernel_type="keyscubic",
        antialias=True,
    )
    return tf.clip_by_value(tf.round(found), 0.0, 255.0)
