"""What does a tagger that learned from labelled accounts see at each character of a text?

Two bidirectional GRU layers that start from a published lexical analyser, one bidirectional LSTM layer, one
linear layer; learned from labelled accounts (`bench/narratives/training.py`), computed here with numpy alone.
The same text gives the same marks on one machine; between machines they differ in the last digits.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative.claim import Kind

Numbers = NDArray[np.floating[Any]]

WEIGHTS: Final = "tagger.npz"
ENDS: Final = "。；！？\n;!?"
"""What ends a sentence, for whoever learns, reads and scores."""
PORTION: Final = 2000  # characters
UNKNOWN: Final = 1
"""The row of whatever was not seen in learning; row 0 is no character at all."""
LONE_VALUES: Final = {"absent": "debtor", "debt": "confirmed", "outcome": "refused"}
"""Kinds of one value, which have no mark of their own for it."""
DIRECTIONS: Final = ("forward", "backward")


@dataclass(frozen=True, slots=True)
class Marks:
    """How likely each character belongs to a mark (0 to 1): `likely[mark][place]`."""

    likely: dict[str, Numbers]

    def peak(self, mark: str, start: int, end: int) -> float:
        """How likely a stretch of at least one character says a mark, at its likeliest character."""
        return float(self.likely[mark][start:end].max())

    def facts(self) -> Iterator[tuple[Kind, str, Numbers]]:
        """Each fact that an account may state, as kind and value, with how likely each character says it."""
        for mark, likely in self.likely.items():
            kind, _, value = mark.partition("=")
            if value:
                yield cast(Kind, kind), value, self.likely[kind] * likely
            elif mark in LONE_VALUES:
                yield cast(Kind, mark), LONE_VALUES[mark], likely


def own_marks() -> tuple[str, ...]:
    """The marks that the product's own tagger knows."""
    return tuple(_own_model().marks)


def sentences(text: str) -> NDArray[np.int64]:
    """Return for each character the place of its sentence; what ends a sentence belongs to it."""
    ends = np.fromiter((char in ENDS for char in text), np.int64, len(text))
    return np.cumsum(ends) - ends


def normal(char: str) -> str:
    """Return the character under which a character was learned: narrow, small."""
    return unicodedata.normalize("NFKC", char)[:1].lower() or char


def tag(text: str, model: "Model | None" = None) -> Marks:
    """Tag a text of at least one character, portion by portion: a long one needs no more memory."""
    model = model or _own_model()
    scores = np.vstack([_scores(part, model) for part in portions(text)])
    return Marks(model.named(scores))


def portions(text: str) -> Iterator[str]:
    """Cut a long text behind the last sentence that fits, or in the middle of one."""
    while len(text) > PORTION:
        end = max(text.rfind(stop, 0, PORTION) for stop in ENDS) + 1
        yield text[: end or PORTION]
        text = text[end or PORTION :]
    yield text


def _scores(text: str, model: "Model") -> Numbers:
    seen = model.embedded(text)
    inner = _gru(_gru(seen, model, "gru1"), model, "gru2")
    pairs = model.paired(text)
    behind = np.vstack([np.zeros((1, pairs.shape[1]), np.float32), pairs[:-1]])
    top = _lstm(np.hstack([inner, seen, pairs, behind]), model)
    return top @ model.part("out.weight") + model.part("out.bias")


class Model:
    """The learned numbers by their names, and the characters and pairs of them that have rows."""

    def __init__(self, stored: dict[str, NDArray[np.generic]]) -> None:
        self._parts = {
            name: part.astype(np.float32) for name, part in stored.items() if part.dtype.kind == "f"
        }
        self.chars = {char: row for row, char in enumerate(str(stored["chars"]), UNKNOWN + 1)}
        pairs = str(stored["pairs"])
        self.pairs = {pairs[at : at + 2]: row for row, at in enumerate(range(0, len(pairs), 2), UNKNOWN + 1)}
        self.marks = str(stored["marks"]).split()
        self._groups = [group.split() for group in str(stored["alternatives"]).split("|")]

    def part(self, name: str) -> Numbers:
        return self._parts[name]

    def embedded(self, text: str) -> Numbers:
        rows = [self.chars.get(normal(char), UNKNOWN) for char in text]
        return self.part("chars.weight")[rows]

    def paired(self, text: str) -> Numbers:
        """A row for each character and the one behind it."""
        rows = [self.pairs.get(one + other, UNKNOWN) for one, other in pairwise(text)]
        return self.part("pairs.weight")[[*rows, UNKNOWN]]

    def named(self, scores: Numbers) -> dict[str, Numbers]:
        """Turn scores into how likely each mark is; of alternatives, how the likelihood of one is shared."""
        columns = dict(zip(self.marks, scores.T, strict=True))
        likely = {name: _sigmoid(column) for name, column in columns.items()}
        for group in self._groups:
            together = np.stack([columns[name] for name in group])
            powers: Numbers = np.exp(together - together.max(axis=0))
            likely.update(zip(group, powers / powers.sum(axis=0), strict=True))
        return likely


def read_model(path: Traversable) -> Model:
    """Read learned numbers from a file that `bench.narratives.training` wrote."""
    with path.open("rb") as stored:
        return Model(dict(np.load(stored)))


@lru_cache(maxsize=1)
def _own_model() -> Model:
    return read_model(files("server.reconcile.narrative") / WEIGHTS)


def _sigmoid(x: Numbers) -> Numbers:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def _gru(seen: Numbers, model: Model, layer: str) -> Numbers:
    """Both directions of a GRU whose reset gate acts before the recurrent weights (Cho et al., 2014)."""
    halves = []
    for direction in DIRECTIONS:
        name = f"{layer}.{direction}"
        gates_of, candidate_of = model.part(f"{name}.gates"), model.part(f"{name}.candidate")
        size = len(candidate_of)
        coming = seen @ model.part(f"{name}.input") + model.part(f"{name}.bias")
        state: Numbers = np.zeros(size, np.float32)
        states = np.empty((len(seen), size), np.float32)
        for place in _order(direction, len(seen)):
            gates = _sigmoid(coming[place, : 2 * size] + state @ gates_of)
            candidate = np.tanh(coming[place, 2 * size :] + (gates[size:] * state) @ candidate_of)
            state = state + gates[:size] * (candidate - state)
            states[place] = state
        halves.append(states)
    return np.hstack(halves)


def _lstm(seen: Numbers, model: Model) -> Numbers:
    """Both directions of an LSTM; its gates in the order input, forget, candidate, output."""
    halves = []
    for direction in DIRECTIONS:
        name = f"lstm.{direction}"
        recurrent = model.part(f"{name}.recurrent")
        size = len(recurrent)
        coming = seen @ model.part(f"{name}.input") + model.part(f"{name}.bias")
        state, memory = np.zeros(size, np.float32), np.zeros(size, np.float32)
        states = np.empty((len(seen), size), np.float32)
        for place in _order(direction, len(seen)):
            gates = coming[place] + state @ recurrent
            taken, kept = _sigmoid(gates[: 2 * size]).reshape(2, size)
            memory = kept * memory + taken * np.tanh(gates[2 * size : 3 * size])
            state = _sigmoid(gates[3 * size :]) * np.tanh(memory)
            states[place] = state
        halves.append(states)
    return np.hstack(halves)


def _order(direction: str, length: int) -> range:
    return range(length) if direction == "forward" else range(length - 1, -1, -1)
