"""SESEMI on CIFAR-100, with unlabeled images from elsewhere: ``--network wrn --extra 237203 --gpu 0`` (Tran 2019).

All labels of CIFAR-100; half of each self-supervised batch is drawn from the extra images.
"""

import sys

from sesemi.commands import train

if __name__ == "__main__":
    name = "train_evaluate_sesemi_tinyimages.py"
    sys.exit(train.main(program=name, instead=train.TINY_IMAGES, networks=train.TINY_IMAGES_NETWORKS))
