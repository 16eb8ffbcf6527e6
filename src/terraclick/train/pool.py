"""The crops a rank trains on: cut, used some times, dropped; and the clicking episodes that are open on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from terraclick.core.bank import click_rows
from terraclick.core.refit import colour_features
from terraclick.core.simulate import next_click, random_error_click, sample_clicks
from terraclick.data.augment import Turn, jitter_light
from terraclick.data.datasets import Dataset
from terraclick.errors import BadData
from terraclick.terra.evidence import marked, score_maps
from terraclick.terra.inputs import network_inputs
from terraclick.terra.patches import ENCODER_SIDE, PatchFeatures
from terraclick.train.borrow import Borrowed, Lenders, lent
from terraclick.train.config import TrainConfig
from terraclick.train.crops import Asked, Crop, Encode, draw_crops
from terraclick.values import Click, Prompt, Target, Window

__all__ = ["Episode", "Pool", "sample"]

FRESH_DRAWS = 10_000
"""Draws without a target worth clicking before the crops are called empty."""

SMALL = 0.3
"""Extent below which an object is small in its crop. After its first answer the zoom-in would have moved there."""

FILLING, BESIDE = 3.0, 0.3
"""How often a whole object that fills its window is asked for, and what else such a window shows."""

WHOLE = Window(0, 0, ENCODER_SIDE, ENCODER_SIDE)


@dataclass(frozen=True, eq=False)
class Episode:
    """One target of one crop being clicked.

    crop and asked are numbers (asked None: a class that the crop does not show); clicks lie on the turned crop at the
    encoder's side; previous is the last answer as uint8 at the side it was given at, or None.
    """

    crop: int
    asked: int | None
    turn: Turn
    clicks: tuple[Click, ...] = ()
    previous: NDArray[np.uint8] | None = None
    borrowed: tuple[Borrowed, ...] = ()

    def stored(self) -> tuple[Any, ...]:
        """Plain values, which a checkpoint may hold."""
        clicks = [(float(click.row), float(click.col), bool(click.positive)) for click in self.clicks]
        previous = None if self.previous is None else torch.from_numpy(self.previous)
        return self.crop, self.asked, astuple(self.turn), clicks, previous, [astuple(b) for b in self.borrowed]

    @staticmethod
    def restored(stored: tuple[Any, ...]) -> Episode:
        """What `stored` took apart."""
        crop, asked, turn, clicks, previous, borrowed = stored
        return Episode(
            crop,
            asked,
            Turn(*turn),
            tuple(Click(*click) for click in clicks),
            None if previous is None else previous.numpy(),
            tuple(
                Borrowed(lender, number, positive, row, col, (offset[0], offset[1]))
                for lender, number, positive, row, col, offset in borrowed
            ),
        )


class Pool:
    """Crops in use and open episodes of one rank. Crop draws depend on the seed, the rank and their number alone."""

    def __init__(
        self, config: TrainConfig, datasets: list[Dataset], encode: Encode, folder: Path, rank: int = 0
    ) -> None:
        """`folder` keeps the crops in use, so that a resumed run need not cut them again."""
        self.config, self.datasets, self.encode, self.folder, self.rank = config, datasets, encode, folder, rank
        folder.mkdir(parents=True, exist_ok=True)
        self.rng = np.random.default_rng([config.seed, 2, rank])
        self.crops: dict[int, Crop] = {}
        self.draws = 0
        self.lenders = Lenders({})
        self.episodes: list[Episode] = []
        self.coming: Callable[[int], Iterator[list[Crop]]] | None = None
        """Draws from a number on, where workers cut them ahead."""
        self._ahead: Iterator[list[Crop]] | None = None

    def fill(self) -> None:
        """Cut crops until enough are in use; the oldest make room."""
        while len(self.crops) < self.config.crops:
            self._cut()
        self._index()

    def _cut(self) -> None:
        """Cut one draw: one crop, or four that lie beside each other. Crops are numbered by draw and place."""
        if self.coming is not None and self._ahead is None:
            self._ahead = self.coming(self.draws)
        for crop in self._drawn(self.draws) if self._ahead is None else next(self._ahead):
            number = self.draws * 4 + crop.place[0] * 2 + crop.place[1]
            crop.save(self.folder / f"{number:08d}.npz")
            self.crops[number] = crop
        self.draws += 1

    def _drawn(self, draw: int) -> list[Crop]:
        rng = np.random.default_rng([self.config.seed, 1, self.rank, draw])
        return draw_crops(self.datasets, self.config, self.encode, rng, draw)

    def renew(self) -> None:
        """One draw more; the oldest crops beyond the number in use go, and the episodes open on them begin anew."""
        self._cut()
        for number in sorted(self.crops)[: max(len(self.crops) - self.config.crops, 0)]:
            del self.crops[number]
            (self.folder / f"{number:08d}.npz").unlink(missing_ok=True)
        self._index()
        self.episodes = [episode if self._alive(episode) else self.fresh() for episode in self.episodes]

    def _alive(self, episode: Episode) -> bool:
        return episode.crop in self.crops and all(prompt.crop in self.crops for prompt in episode.borrowed)

    def _index(self) -> None:
        self.lenders = Lenders(self.crops)
        self.numbers = sorted(self.crops)
        self.with_small = [number for number in self.numbers if any(map(_is_small, self.crops[number].asked))]

    def state(self) -> dict[str, Any]:
        """All that decides what follows, but for the crops, which lie in the folder."""
        episodes = [episode.stored() for episode in self.episodes]
        return {
            "rng": self.rng.bit_generator.state,
            "draws": self.draws,
            "crops": sorted(self.crops),
            "episodes": episodes,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; crops that are no longer in the folder are cut again."""
        self.draws, self._ahead = state["draws"], None
        self.crops = {number: self._recalled(number) for number in state["crops"]}
        self._index()
        self.rng.bit_generator.state = state["rng"]
        self.episodes = [Episode.restored(stored) for stored in state["episodes"]]

    def _recalled(self, number: int) -> Crop:
        path = self.folder / f"{number:08d}.npz"
        if path.is_file():
            return Crop.load(path)
        draw = number // 4
        for crop in self._drawn(draw):
            if draw * 4 + crop.place[0] * 2 + crop.place[1] == number:
                crop.save(path)
                return crop
        raise BadData(f"crop {number} cannot be cut again: the datasets are not those the run began with.")

    def asked(self, episode: Episode) -> Asked | None:
        """What an episode asks for; None for a class that its crop does not show."""
        return None if episode.asked is None else self.crops[episode.crop].asked[episode.asked]

    def truth(self, episode: Episode, side: int) -> NDArray[np.uint8]:
        """The turned truth at a side: 0, 1, 255 = ignore."""
        asked = self.asked(episode)
        if asked is None:
            unknown = self.crops[episode.crop].asked[0].truth == 255
            truth = np.where(unknown, np.uint8(255), np.uint8(0))
        else:
            truth = asked.truth
        return episode.turn.picture(cv2.resize(truth, (side, side), interpolation=cv2.INTER_NEAREST_EXACT))

    def fresh(self) -> Episode:
        """A new target with its first clicks: where the robot would click, anywhere well inside, or several at once."""
        rng = self.rng
        for _ in range(FRESH_DRAWS):
            first_look = bool(self.with_small) and rng.random() < self.config.first_looks
            numbers = self.with_small if first_look else self.numbers
            number = int(numbers[rng.integers(len(numbers))])
            turn = Turn(int(rng.integers(4)), bool(rng.random() < 0.5), ENCODER_SIDE)
            if not first_look and rng.random() < self.config.remote_share:
                remote = self._remote(number, turn)
                if remote is not None:
                    return remote
                continue
            asked = self._choose(self.crops[number].asked, first_look)
            episode = Episode(number, asked, turn)
            what = self.crops[number].asked[asked]
            if what.target is not None and what.cls >= 0 and rng.random() < self.config.reference_share:
                episode = replace(episode, borrowed=self.lenders.references(number, what.cls, rng))
                if episode.borrowed and what.target is Target.CLASS and rng.random() < 0.4:
                    return episode
            clicks = self._first(episode)
            if clicks:
                return replace(episode, clicks=clicks)
        raise BadData(f"{FRESH_DRAWS} draws found no target to click in the crops: give datasets with larger things.")

    def _choose(self, asked: tuple[Asked, ...], first_look: bool = False) -> int:
        """A thing or class of a crop, or one of its regions as often as the recipe says.

        What the predictor meets most is asked most: for a first look whole objects that are small in their crop, else
        objects that fill their window, and classes in crops that no object fills.
        """
        if first_look:
            small = [i for i, one in enumerate(asked) if _is_small(one)]
            return int(small[self.rng.integers(len(small))])
        regions = [i for i, one in enumerate(asked) if one.target is None]
        others = [i for i, one in enumerate(asked) if one.target is not None]
        if not others or (regions and self.rng.random() < self.config.region_share):
            return int(regions[self.rng.integers(len(regions))])
        weights = np.array([_weight(one) for one in (asked[i] for i in others)])
        if weights.max() >= FILLING:
            weights[weights < FILLING] = BESIDE
        return int(self.rng.choice(others, p=weights / weights.sum()))

    def _first(self, episode: Episode) -> tuple[Click, ...]:
        side = ENCODER_SIDE
        truth = self.truth(episode, side)
        if np.count_nonzero(truth == 1) < 40:
            return ()
        kind = self.rng.random()
        if kind < 0.45:
            click = next_click(np.zeros(truth.shape, bool), truth == 1, truth == 255)
        elif kind < 0.85:
            click = random_error_click(np.zeros(truth.shape, bool), truth == 1, self.rng, truth == 255)
        else:
            return sample_clicks(truth == 1, self.rng, truth == 255, max_positives=5, max_negatives=5)
        return (click,) if click is not None else ()

    def _remote(self, number: int, turn: Turn) -> Episode | None:
        """A class target clicked only in another crop; one time in six a class that this crop does not show."""
        shown = self.crops[number]
        known = self.lenders.classes[shown.source[0]]
        absent = [cls for cls in known if cls not in shown.present]
        if absent and self.rng.random() < 0.17:
            asked, cls = None, int(absent[self.rng.integers(len(absent))])
        else:
            classes = [i for i, one in enumerate(shown.asked) if one.target is Target.CLASS]
            if not classes:
                return None
            asked = int(classes[self.rng.integers(len(classes))])
            cls = shown.asked[asked].cls
        borrowed = self.lenders.clicks(number, cls, self.rng)
        return Episode(number, asked, turn, borrowed=borrowed) if borrowed else None

    def further(self, episode: Episode, probs: NDArray[np.float32], mask: NDArray[np.bool_]) -> Episode:
        """The episode one click on, given its answer (side, side), or a fresh one."""
        if self.rng.random() >= self.config.go_on:
            return self.fresh()
        asked = self.asked(episode)
        if asked is not None and asked.target is Target.OBJECT and asked.extent < SMALL:
            return self.fresh()  # the zoom-in would look closer now
        side = mask.shape[0]
        truth = self.truth(episode, side)
        ignore = truth == 255
        if self.rng.random() < 0.6:
            click = next_click(mask, truth == 1, ignore, [_scaled(c, ENCODER_SIDE, side) for c in episode.clicks])
        else:
            click = random_error_click(mask, truth == 1, self.rng, ignore)
        if click is None:
            return self.fresh()
        placed = _scaled(click, side, ENCODER_SIDE)
        return replace(episode, clicks=(*episode.clicks, placed), previous=np.rint(probs * 255).astype(np.uint8))


def _is_small(one: Asked) -> bool:
    """Whether it is a whole object, small in its crop: what a first look shows."""
    return one.target is Target.OBJECT and one.extent < SMALL and not one.cut_off


def _weight(one: Asked) -> float:
    """How often a thing or class is asked for, relative to the others of its crop."""
    if one.target is Target.CLASS:
        return 1.0
    if one.extent < SMALL:
        return 1.5
    return BESIDE if one.cut_off else FILLING


def _scaled(click: Click, old: int, new: int) -> Click:
    """A click of a picture of one side on the same picture at another."""
    last = new - 1
    row, col = ((place + 0.5) * new / old - 0.5 for place in (click.row, click.col))
    return Click(min(max(row, 0.0), last), min(max(col, 0.0), last), click.positive)


def sample(pool: Pool, episode: Episode, side: int) -> dict[str, NDArray[Any]]:
    """The click net's inputs for an episode at a side, the picture in another light than before."""
    config, crop, turn = pool.config, pool.crops[episode.crop], episode.turn
    small = cv2.resize(crop.image, (side, side), interpolation=cv2.INTER_AREA)
    image = jitter_light(turn.picture(small), pool.rng)
    maps = (turn.planes(array).astype(np.float32) for array in (crop.tokens, crop.shallow, crop.principal))
    tokens, shallow, principal = maps
    features = PatchFeatures(tokens, shallow, principal, colour_features(image))
    asked = pool.asked(episode)
    target = Target.OBJECT if asked is not None and asked.target is Target.OBJECT else Target.CLASS
    before = None if episode.previous is None else episode.previous.astype(np.float32) / np.float32(255)
    rows, evidence = lent(pool.crops, episode.borrowed, turn)
    bank = click_rows(episode.clicks, [features.tokens], [WHOLE]) + rows
    if not config.deep_prompts:
        bank = []
    fit = score_maps([marked(features, WHOLE, episode.clicks, before), *evidence], [features])[0]
    # the last answer has its own resolution, so it is laid on the crop's own pixels
    whole = None
    if before is not None:
        grown = cv2.resize(before, (ENCODER_SIDE, ENCODER_SIDE), interpolation=cv2.INTER_LINEAR)
        whole = np.asarray(grown, np.float32)
    inputs = network_inputs(image, features, bank, fit, Prompt(episode.clicks, target), WHOLE, whole)
    if asked is not None and asked.target is None:
        inputs["target"] = np.zeros(2, np.float32)
    if not config.refit:
        inputs["fit"] = np.zeros_like(inputs["fit"])
    if not config.shallow:
        inputs["shallow"] = np.zeros_like(inputs["shallow"])
    return inputs
