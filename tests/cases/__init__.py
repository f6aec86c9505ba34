"""Cases of every operator: arguments and error bounds, shared by all tests that run every operator."""

from cases import activation, conv, conv_max_pool, dropout, linear, losses, max_pool, optimizers, pool, softmax, unpool
from cases.case import Case

ALL: list[Case] = [
    case
    for family in (
        activation,
        conv,
        conv_max_pool,
        dropout,
        linear,
        losses,
        max_pool,
        optimizers,
        pool,
        softmax,
        unpool,
    )
    for case in family.CASES
]
