"""Results of a study that never ran, for the words to choose by."""

from __future__ import annotations

import copy
from dataclasses import asdict

from tinynn.studies.shared.study import Results
from tinynn.studies.where_time_goes.steps import ELEMENTWISE, OPTIMIZER, PRODUCTS, Settings

SETTINGS = Settings(mlp_batches=(16, 1024), cnn_batches=(16, 64), shown=16, sets=3, turns=5)
SPREAD = (0.99, 1.0, 1.01)  # of the sets


def one_set(batch, scale):
    """A step whose products take 10 us an image, with what is expected of it."""
    products = 10e-6 * batch * scale
    calls = [products * 0.6, 8e-6 * scale, products * 0.4, 20e-6 * scale]
    parts = {PRODUCTS: products, ELEMENTWISE: 8e-6 * scale, OPTIMIZER: 20e-6 * scale}
    python, memory, rest = 150e-6 * scale, 5e-6 * scale, 20e-6 * scale
    eager = sum(parts.values()) + memory + python
    return {
        "alone": {"eager": eager, "faults": 0.0},
        "turns": 5,
        "eager": eager,
        "faults": 0.0,
        "compiled": sum(parts.values()) + rest,
        "products": products,
        "calls": calls,
        "parts": parts,
        "rest_of_replay": rest,
        "memory": memory,
        "hollow": 9e-6 * scale,
        "watching": 1e-6,
    }


def call(number, operation, name, part, multiplications=0):
    return {
        "number": number,
        "operation": operation,
        "name": name,
        "part": part,
        "bytes": 1000 * (number + 1),
        "multiplications": multiplications,
    }


def a_plan(network, batch):
    products = [
        call(0, "linear", "dot", PRODUCTS, 1000 * batch),
        call(2, "linear backward", "matmul", PRODUCTS, 2000 * batch),
    ]
    if network == "CNN":
        products[0] |= {"operation": "conv2d", "name": "convolve", "multiplications": 0}
    others = [
        call(1, "cross_entropy", "loss_and_gradient", ELEMENTWISE),
        call(3, "SGD.step", "descend", OPTIMIZER),
    ]
    calls = sorted(products + others, key=lambda one: one["number"])
    return {"calls": calls, "description": "4 calls\n0 linear dot"}


def expected_results(change=lambda its, network, batch: None):
    """Results with every effect that one would expect.

    Arguments:
        change: is given each set, its network and its batch, and may change it.
    """
    steps = {}
    for network, batches in (("MLP", SETTINGS.mlp_batches), ("CNN", SETTINGS.cnn_batches)):
        steps[network] = {}
        for batch in batches:
            sets = [one_set(batch, scale) for scale in SPREAD]
            for its in sets:
                if network == "CNN" and batch == 64:  # 200 us for 100 page faults
                    its["alone"] = {"eager": its["eager"] + 200e-6, "faults": 100.0}
                change(its, network, batch)
            steps[network][str(batch)] = {"sets": sets, "plan": a_plan(network, batch)}
    measured = {
        "given_back_bytes": 32_000_000,
        "layers": {"MLP": "784 - 10", "CNN": "28x28 - 10"},
        "steps": steps,
    }
    return Results(asdict(SETTINGS), copy.deepcopy(measured), {"seed": 0})
