"""ASL: augmented supervised learning, SESEMI without any unlabeled image (Tran 2019, arXiv:1906.10343)."""

from sesemi.methods.sesemi import SESEMI


class ASL(SESEMI):
    """SESEMI whose self-supervised branch draws from the labeled images too.

    Args:
        rotation_weight: Weight of the self-supervised loss, see `SESEMI`.
    """

    unlabeled_pool = "labeled"
