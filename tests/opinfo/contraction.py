"""Samples of einsum."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import FLOATS, OpInfo, refuse, sample

# Equations with the shapes of their operands.
EQUATIONS = (
    ("bqd,bkd->bqk", (2, 3, 4), (2, 5, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("i,j->ji", (2,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,i", (3,), (3,)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ba", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->ji", (2, 2, 3)),
    ("iji,j->i", (2, 3, 2), (3,)),
    ("iii->i", (2, 2, 2)),
    ("ijk,jk,k->i", (2, 3, 4), (3, 4), (4,)),
    ("ij,k->j", (2, 3), (4,)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (5, 3, 4)),
    ("...i->...", (2, 3, 4)),
    ("i...,i...->...", (3, 2), (3, 1)),
    ("i...j", (2, 4, 3)),
    ("ij , jk -> ik", (2, 0), (0, 3)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 1), (4, 3)),
    ("i,i->i", (1,), (3,)),
    ("ij,ji->i", (3, 1), (2, 3)),
    (",i->i", (), (3,)),
)


def samples(make):
    for equation, *shapes in EQUATIONS:
        yield sample(equation, *(make(*shape) for shape in shapes))


def refused(make):
    yield refuse(TypeError, make(3), make(3), says="equation.*Tensor")
    yield refuse(TypeError, "i,i", make(3), 2.0, says="operand 1.*float")
    yield refuse(RuntimeError, "i,i", make(3), says="2 operands, got 1")
    yield refuse(RuntimeError, "i,i", make(3), make(2), says="'i' has size 2 in operand 1 and 3")
    yield refuse(RuntimeError, "...,...", make(3), make(2), says="'...' has size 2 in operand 1")
    yield refuse(RuntimeError, "ii", make(2, 3), says=r"operand 0 of shape \(2, 3\)")
    yield refuse(RuntimeError, "ijk", make(2, 3), says=r"3 dimensions.*\(2, 3\) has 2")
    yield refuse(RuntimeError, "i", make(2, 3), says=r"1 dimensions.*\(2, 3\) has 2")
    yield refuse(RuntimeError, "...ijk", make(2, 3), says="has 2")
    yield refuse(RuntimeError, "i!", make(2, 3), says="letters")
    yield refuse(RuntimeError, "......i", make(2, 3), says="letters")
    yield refuse(RuntimeError, "i,j->ii", make(2), make(3), says="'i' twice")
    yield refuse(RuntimeError, "i,j->k", make(2), make(3), says="no operand has the result's 'k'")
    yield refuse(RuntimeError, "i->i->i", make(2), says="letters")


INFOS = [
    OpInfo(
        "einsum",
        samples=samples,
        reference=np.einsum,
        refused=refused,
        dtypes=(*FLOATS, "int64"),
    ),
]
