"""What the tests let workers do; spawned processes import it from here."""

import os
import time
from typing import NamedTuple

import tinynn as tn


class Draw(NamedTuple):
    seed: int


def draw(place, task):
    """A number that depends on the task alone, and where it was drawn."""
    tn.manual_seed(task.seed)
    return float(tn.randn(1).item()), place, tn.get_num_threads()


def process_number(place, task):
    time.sleep(0.2)
    return os.getpid()


def fail(place, task):
    if task == 3:
        raise ValueError("task 3 fails")
    time.sleep(0.05)


def vanish(place, task):
    os._exit(9)
