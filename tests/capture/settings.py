"""Variables of a module, as a program keeps its settings in one."""

ALPHA = 1.0
BETA = 1.0


def scaled(x):
    return x * BETA
