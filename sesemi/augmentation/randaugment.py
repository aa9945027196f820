"""RandAugment and Cutout on the device, with an own draw for every image, the whole batch at once.

RandAugment: Cubuk et al. 2020 (arXiv:1909.13719); Cutout: DeVries & Taylor 2017 (arXiv:1708.04552). The operations and
their ranges are FixMatch's (Sohn et al. 2020, arXiv:2001.07685). The pixels are Pillow's to the bit. Pixels are whole
numbers in float32 and magnitudes are multiples of 2**-12, which makes products and sums exact. Whether they are fused
then changes nothing, so eager mode, a graph and XLA agree to the bit.
"""

from dataclasses import dataclass

from keras import ops

from sesemi.augmentation.operations import OPERATIONS, affine, select
from sesemi.primitives.rng import Draws

SIDES = ("random", "fixed")


@dataclass(frozen=True)
class RandAugment:
    """A few random operations on every image, then a grey square.

    Args:
        operations: Number of rounds; in each, one operation is drawn for every image.
        level: None draws every magnitude uniformly from its operation's range. A number in [0, 1] takes that part of
            the range, and only the sign of rotations, shears and translations is random.
        probability: Probability that a drawn operation is applied.
        cutout: Side of the square, as a part of the shorter side of the image; 0 for none.
        cutout_side: ``random`` draws the side uniformly, in pixels, from 0 to `cutout`; ``fixed`` takes `cutout`.
        fill: Grey of the square and of pixels from outside of an image, in ``0 … 255``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    operations: int = 2
    level: float | None = None
    probability: float = 0.5
    cutout: float = 0.5
    cutout_side: str = "random"
    fill: int = 127

    def __post_init__(self):
        if not isinstance(self.operations, int) or self.operations < 0:
            raise ValueError(f"operations is {self.operations!r}; give a whole number from 0")
        if self.level is not None and not 0 <= self.level <= 1:
            raise ValueError(f"level is {self.level!r}; give a number in [0, 1], or None for a random one")
        for name in ("probability", "cutout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number in [0, 1]")
        if self.cutout_side not in SIDES:
            raise ValueError(f"cutout_side is {self.cutout_side!r}; choose from {', '.join(SIDES)}")
        if not isinstance(self.fill, int) or not 0 <= self.fill <= 255:
            raise ValueError(f"fill is {self.fill!r}; give a whole number in 0 … 255")

    def __call__(self, images, draws: Draws):
        """Return one view of every image: a pure function of `images` and `draws`.

        The batch, padded with itself to a multiple of the number of operations, is shuffled and cut into equal shares,
        one for each operation. So every operation is as likely for every image, and a batch has as many images of each.

        Args:
            images: ``[B, H, W, C]``, raw pixels in ``0 … 255``, of any dtype; a static shape, B included. Fractions are
                cut off.
            draws: Source of the random numbers.

        Returns:
            ``[B, H, W, C]`` float32, whole numbers in ``0 … 255``.
        """
        batch = images.shape[0]
        images = ops.cast(images, "uint8")
        count = -(-batch // len(OPERATIONS)) * len(OPERATIONS)
        if self.operations:
            images = ops.take(images, ops.arange(count) % batch, axis=0)
            images = self._rounds(images, draws.at("operation"))[:batch]
        return ops.cast(self._cut_out(images, draws.at("cutout")) if self.cutout else images, "float32")

    def _rounds(self, images, draws: Draws):
        """Apply the rounds in a loop, so that the operations are traced and compiled once."""
        count, rounds = images.shape[0], [draws.at(str(number)) for number in range(self.operations)]
        orders = ops.stack([own.permutation("order", count) for own in rounds])
        magnitudes, applied = (
            ops.stack([own.uniform(name, (count, 1, 1, 1)) for own in rounds]) for name in ("magnitude", "applied")
        )

        def one(number, images):
            shuffled = ops.take(images, orders[number], axis=0)
            changed = self._operate(shuffled, magnitudes[number])
            chosen = select(applied[number] < self.probability, changed, shuffled)
            return ops.take(chosen, ops.argsort(orders[number]), axis=0)

        return ops.fori_loop(0, self.operations, one, images)

    def _operate(self, images, uniform):
        """Apply each operation to its share of the images; those that move pixels share one gather."""
        share, changed, places = images.shape[0] // len(OPERATIONS), [], []
        for number, operation in enumerate(OPERATIONS.values()):
            own = slice(number * share, (number + 1) * share)
            magnitudes = operation.magnitudes(uniform[own], self.level)
            if operation.moves:
                places.append(operation.change(magnitudes, *images.shape[1:3]))
            else:
                changed.append(ops.cast(operation.change(ops.cast(images[own], "float32"), magnitudes), "uint8"))
        if places:
            changed.append(affine(images[len(changed) * share :], ops.concatenate(places), self.fill))
        return ops.concatenate(changed)

    def _cut_out(self, images, draws: Draws):
        batch, height, width, channels = images.shape
        longest = round(self.cutout * min(height, width))
        side = draws.integers("side", (batch, 1), 0 if self.cutout_side == "random" else longest, longest)

        def inside(axis, size):
            offset = ops.arange(size) - draws.integers(axis, (batch, 1), 0, size - 1) + side // 2
            return ops.logical_and(offset >= 0, offset < side)

        columns = ops.repeat(inside("column", width)[:, None, :, None], channels, axis=-1)
        return select(ops.logical_and(inside("row", height)[:, :, None, None], columns), self.fill, images)
