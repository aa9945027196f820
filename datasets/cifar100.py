"""CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 in a hundred classes (Krizhevsky 2009), fine labels."""

from pathlib import Path

from sesemi.datasets import cifar, files
from sesemi.datasets.base import ImageData

CLASSES = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm""".split()
)
ARCHIVE = files.Archive(
    file="cifar-100-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    digest="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)


def load(data_dir: Path | None = None) -> ImageData:
    """Load CIFAR-100; see `datasets.load`."""
    read, note = files.locate(data_dir, "cifar-100", "cifar-100-python", ARCHIVE, ("train", "test"))
    train, test = (cifar.read_batch(read(name), name, "fine_labels", len(CLASSES)) for name in ("train", "test"))
    return ImageData(*train, *test, CLASSES, (note,))
