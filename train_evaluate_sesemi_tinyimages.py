"""SESEMI on CIFAR-100, with unlabeled images from elsewhere: ``--network wrn --extra 237203 --gpu 0`` (Tran 2019).

All labels of CIFAR-100; half of each self-supervised batch is drawn from the extra images.
"""

import sys

from sesemi import cli

if __name__ == "__main__":
    name = "train_evaluate_sesemi_tinyimages.py"
    sys.exit(cli.main(program=name, instead=cli.TINY_IMAGES, networks=cli.TINY_IMAGES_NETWORKS))
