"""Why what the study `nonlinearity` saw is so."""

from __future__ import annotations

from itertools import pairwise

from tinynn.studies.nonlinearity.networks import ACTIVATED, DEEP, FLAT, NETWORKS
from tinynn.studies.nonlinearity.view import View
from tinynn.studies.shared.report import enumeration, mean, table
from tinynn.studies.shared.study import Results

__all__ = ["why"]

SOURCES = """
- N. Higham, "Accuracy and stability of numerical algorithms", 2nd edition, SIAM 2002: the bound on
  what rounding does to a sum of products.
- A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
  linear neural networks", ICLR 2014, arXiv:1312.6120: what depth without an activation changes,
  the way and not the goal.
- M. Leshno, V. Lin, A. Pinkus, S. Schocken, "Multilayer feedforward networks with a nonpolynomial
  activation function can approximate any function", Neural Networks 6, 1993.
- G. Montufar, R. Pascanu, K. Cho, Y. Bengio, "On the number of linear regions of deep neural
  networks", NIPS 2014, arXiv:1402.1869.
- X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
  AISTATS 2010: saturating sigmoids.
- V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010;
  A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models",
  2013 (leaky ReLU); D. Clevert, T. Unterthiner, S. Hochreiter, 2015, arXiv:1511.07289 (ELU);
  D. Hendrycks, K. Gimpel, 2016, arXiv:1606.08415 (GELU, SiLU).
"""


def why(results: Results) -> str:
    view = View(results)
    parts = [why_one_matrix(view), why_pieces(view), why_sigmoid(view), why_so_cheap(view)]
    return "\n\n".join([*parts, f"### Sources\n\n{SOURCES.strip()}"])


def why_one_matrix(view: View) -> str:
    flat, deep = view.plane(FLAT), view.plane(DEEP)
    if min(view.settings["hidden"]) >= view.measured["classes"]:
        reach = (
            "No hidden layer is narrower than the output, so the product can be any matrix, and "
            "the deep linear network can be exactly what softmax regression can be"
        )
    else:
        reach = (
            "A hidden layer is narrower than the output, so the product has a lower rank than "
            "softmax regression's matrix can have: the deep linear network can be less"
        )
    return f"""### Linear after linear is linear

A linear layer computes `W x + b`. Two of them compute `W2 (W1 x + b1) + b2`, and that is
`(W2 W1) x + (W2 b1 + b2)`: one linear layer again. So any number of them are one, whatever their
widths. {reach}, no more. The loss of softmax regression is convex, with no other valley to end in;
depth only changes the way there, since gradient descent moves the factors and not the product. In
the plane, where training comes close to the end, the losses left are {flat["loss"]:.4f} (softmax
regression) and {deep["loss"]:.4f} (deep linear) nats per point; of the images, training leaves
{mean([run["train_loss"][-1] for run in view.runs(FLAT)]):.4f} and
{mean([run["train_loss"][-1] for run in view.runs(DEEP)]):.4f}."""


def why_pieces(view: View) -> str:
    images = view.measured["images"]["test"]
    least = min(view.values("ReLU", "pieces"))
    if least == images:
        shared = f"No two of the {images:,} test images lie on the same piece"
    else:
        shared = f"The {images:,} test images lie on {least:,} pieces at least"
    return f"""### What ReLU makes of it

ReLU passes what is positive and stops the rest. Where the same units pass, the network is a product
of matrices again, those of the units that pass; where another unit switches, it is another product.
So a ReLU network is linear on pieces, which fit together without a jump, and the more units, the
more pieces. This one in the plane has {view.plane("ReLU")["pieces"]} in the square drawn, found by
looking at a grid of its points:

![The pieces of the plane on which the ReLU network is linear](pieces.png)

The lines between the areas are straight within a piece and bend only where they cross into
another. {shared} of a trained ReLU network, and every piece has a matrix of its own. A smooth
activation bends everywhere instead."""


def why_sigmoid(view: View) -> str:
    sizes = [view.measured["inputs"], *view.settings["hidden"], view.measured["classes"]]
    layers = [f"{n} to {m}" for n, m in pairwise(sizes)]
    deep = [name for name in NETWORKS if name != FLAT]
    gradients = {name: view.first_gradients(name) for name in deep}
    rows = [[name, *(f"{norm:.4f}" for norm in gradients[name])] for name in deep]
    least = min(ACTIVATED, key=lambda name: gradients[name][0])
    slowest = max(ACTIVATED, key=lambda name: mean(view.after_first_epoch(name)))
    text = (
        f"Before training, the first layer's gradient is smallest with {least}: "
        f"{gradients[least][0] / gradients['ReLU'][0]:.2g} times as long as with ReLU."
    )
    if view.rate(least) > view.rate("ReLU"):
        text += (
            f" The search answered with a rate of {view.rate(least):g} for it, where ReLU has "
            f"{view.rate('ReLU'):g}."
        )
    return f"""### Saturation

The gradient of a layer is that of the next one times the weights and times the slope of the
activation. A sigmoid's slope is a quarter at most, where its input is zero, and vanishes on both
sides of it: each sigmoid that a gradient passes on its way to the first layer shortens it. ReLU's
slope is one wherever it passes anything; tanh's is one in the middle. The norms of the gradients of
the weights, before training:

{table(["activation", *layers], rows)}

{text} After the first epoch the validation loss is greatest with {slowest}:
{mean(view.after_first_epoch(slowest)):.3f}, with ReLU {mean(view.after_first_epoch("ReLU")):.3f}
nats per image."""


def why_so_cheap(view: View) -> str:
    batch = view.batches("training")[-1]
    costs = {name: view.cost_per_value(batch, name) for name in ACTIVATED}
    told = enumeration([f"{n} {1e9 * c.value:.2f} ± {1e9 * c.error:.2f}" for n, c in costs.items()])
    return f"""### What an activation costs

A value of the first hidden layer takes {view.measured["inputs"]} multiplications and additions in
the forward pass, and again for the gradient of the weights. ReLU adds one comparison to that, and
one in the backward pass, in the same pass over memory in which the bias is added. Sigmoid, tanh,
ELU and SiLU take an exponential and GELU the error function. What each adds to a training step, in
nanoseconds for each value it is applied to, at {batch} images: {told}."""
