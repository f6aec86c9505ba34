"""Cases of every operator: arguments and error bounds, shared by all tests that run every operator."""

from cases import activation, conv, conv_max_pool, dropout, linear, losses, max_pool, optimizers, pool, softmax, unpool
from cases.case import Case

_FAMILIES = (
    activation, conv, conv_max_pool, dropout, linear, losses, max_pool, optimizers, pool, softmax, unpool,
)  # fmt: skip
ALL: list[Case] = [case for family in _FAMILIES for case in family.CASES]
