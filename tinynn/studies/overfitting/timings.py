"""What an epoch costs with each remedy, and with other widths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinynn.backend.timing import Rounds, compare
from tinynn.studies.overfitting.plan import remedy_run
from tinynn.studies.overfitting.runs import Run, Sizes, training_set, watched
from tinynn.studies.overfitting.settings import FEWER, MORE, NONE, REMEDIES, Settings
from tinynn.studies.shared.training import load_digits, new_network, plain
from tinynn.studies.shared.workers import Place

__all__ = ["time_epochs"]

ROUND_SECONDS = 0.1


def time_epochs(
    settings: Settings, seed: int, sizes: Sizes, widths: tuple[int, int, int], place: Place
) -> Rounds:
    """The seconds of an epoch with each remedy, measured in turn, with nothing beside them.

    Arguments:
        widths: of the fewer neurons, of the network with the remedies, and of the more neurons.
    """
    fewer, width, more = widths
    chosen = {name: (remedy, width) for name, remedy in REMEDIES.items()}
    chosen |= {FEWER: (REMEDIES[NONE], fewer), MORE: (REMEDIES[NONE], more)}
    candidates = {
        name: one_epoch(remedy_run(settings, seed, sizes, remedy, units, 0), place)
        for name, (remedy, units) in chosen.items()
    }
    return compare(candidates, rounds=settings.timing_rounds, seconds=ROUND_SECONDS)


def one_epoch(run: Run, place: Place) -> Callable[[], object]:
    """An epoch of a training, with the look at the watched images that ends it."""
    parts = load_digits(place, run.split_seed)
    images, judges = training_set(parts, run), plain(watched(parts, run))
    loader = run.recipe.make_loader(images)
    model = new_network(run.recipe, images, place)
    # Steps so short that the network stays as it is at the beginning, however often it is called.
    trainer = replace(run.recipe, lr=1e-9).make_trainer(model, len(loader), progress=None)
    return lambda: trainer.fit(loader, 1, judges)
