"""The step of the MLP in JAX: a pure function of the parameters, which it may overwrite, jitted.

How many threads compute is read from NPROC when JAX is loaded; the XLA flag that is said to limit
them to one, xla_cpu_multi_thread_eigen, changes nothing. JAX starts a computation and returns; on
one thread that would be a second thread's work, so there it waits for the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp

from benchmarks.workloads import SGD_RATE, Arrays, Step, fed

Parameters = list[tuple[jax.Array, jax.Array]]


def mlp(sizes: Sequence[int]) -> Parameters:
    """Weight (inputs, outputs) and bias (outputs,) of each layer, drawn as in PyTorch."""
    uniform, parameters = jax.random.uniform, []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = inputs**-0.5
        for_weight, for_bias = jax.random.split(jax.random.key(layer))
        weight = uniform(for_weight, (inputs, outputs), minval=-bound, maxval=bound)
        parameters.append((weight, uniform(for_bias, (outputs,), minval=-bound, maxval=bound)))
    return parameters


def loss_of(parameters: Parameters, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy."""
    *hidden, (weight, bias) = parameters
    for hidden_weight, hidden_bias in hidden:
        inputs = jax.nn.relu(inputs @ hidden_weight + hidden_bias)
    log_p = jax.nn.log_softmax(inputs @ weight + bias)
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()


def update(
    parameters: Parameters, inputs: jax.Array, labels: jax.Array
) -> tuple[Parameters, jax.Array]:
    """The parameters after a step of SGD, and the loss before it."""
    loss, gradients = jax.value_and_grad(loss_of)(parameters, inputs, labels)
    return jax.tree.map(lambda p, g: p - SGD_RATE * g, parameters, gradients), loss


def candidate(parameters: Parameters, batches: list[Arrays], threads: int) -> Step:
    """One step a call; `finish` waits for the last of them."""
    jax.config.update("jax_cpu_enable_async_dispatch", threads > 1)
    jitted = jax.jit(update, donate_argnums=0)

    def step(inputs: jax.Array, labels: jax.Array) -> jax.Array:
        nonlocal parameters
        parameters, loss = jitted(parameters, inputs, labels)
        return loss

    arrays = [(jnp.asarray(inputs), jnp.asarray(labels, jnp.int32)) for inputs, labels in batches]
    call = fed(step, arrays)
    call.finish = lambda: jax.block_until_ready(parameters)
    return call
