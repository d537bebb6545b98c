"""What does a tagger that learned from labelled accounts see at each character of a text?

A transformer that starts from a published one, one bidirectional LSTM layer that is told what the lists read
too, one linear layer; learned from labelled accounts (`bench/narratives/training.py`), computed here with
numpy alone. So it knows where the lists are to be trusted, and has the last word.
The same text gives the same marks on one machine; between machines they differ in the last digits.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from server.reconcile.narrative.claim import Claim, Kind

Numbers = NDArray[np.floating[Any]]
Span = tuple[int, int]

WEIGHTS: Final = "tagger.npz"
ENDS: Final = "。；！？\n;!?"
"""What ends a sentence, for whoever learns, reads and scores."""
PAUSES: Final = "，、, "
PORTION: Final = 320  # characters; few accounts that it learned from are longer
INSIDE: Final = 0.5
"""How likely a character belongs to a stretch; where the bar of that is lower, it decides."""
HEADS: Final = 12
SCALE: Final = ".scale"
"""Behind the name of a part that is stored as bytes: what each of its columns is multiplied by."""
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


def runs(likely: Numbers, bar: float) -> Iterator[Span]:
    """Where the stretches that reach the bar somewhere begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], likely >= min(bar, INSIDE), [0]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if likely[start:end].max() >= bar:
            yield start, end


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


def tag(text: str, listed: Iterable[Claim], model: "Model | None" = None) -> Marks:
    """Tag a text of at least one character, of which the lists read `listed`.

    It is tagged portion by portion, so that a long one needs no more memory.
    """
    model = model or _own_model()
    told, scores, start = model.told(listed, len(text)), list[Numbers](), 0
    for part in portions(text):
        scores.append(_scores(part, told[start : start + len(part)], model))
        start += len(part)
    return Marks(model.named(np.vstack(scores)))


def portions(text: str) -> Iterator[str]:
    """Cut a long text behind the last sentence that fits, or else clause, or else anywhere."""
    while len(text) > PORTION:
        ends = (max(text.rfind(stop, 0, PORTION) for stop in stops) + 1 for stops in (ENDS, PAUSES))
        end = next((end for end in ends if end), PORTION)
        yield text[:end]
        text = text[end:]
    yield text


def _scores(text: str, told: Numbers, model: "Model") -> Numbers:
    pairs = model.paired(text)
    behind = np.vstack([np.zeros((1, pairs.shape[1]), np.float32), pairs[:-1]])
    return _linear(_lstm(np.hstack([_encoded(text, model), pairs, behind, told]), model), model, "out")


class Model:
    """The learned numbers by their names, and the characters and pairs of them that have rows."""

    def __init__(self, stored: dict[str, NDArray[np.generic]]) -> None:
        self._parts = {
            name: _floats(part, stored.get(name + SCALE))
            for name, part in stored.items()
            if part.dtype.kind in "fi" and not name.endswith(SCALE)
        }
        self.chars = {char: row for row, char in enumerate(str(stored["chars"]), UNKNOWN + 1)}
        pairs = str(stored["pairs"])
        self.pairs = {pairs[at : at + 2]: row for row, at in enumerate(range(0, len(pairs), 2), UNKNOWN + 1)}
        self.marks = str(stored["marks"]).split()
        self._listed = {mark: place for place, mark in enumerate(str(stored["listed"]).split())}
        self.layers = sum(name.endswith(".asked.bias") for name in stored)
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

    def told(self, listed: Iterable[Claim], length: int) -> Numbers:
        """Say for each character what the lists read there: 1 or 0 for each mark that they know."""
        told = np.zeros((length, len(self._listed)), np.float32)
        for one in listed:
            place = self._listed.get(f"{one.kind}={one.value}", self._listed.get(one.kind))
            if place is not None:
                told[one.start : one.end, place] = 1
        return told

    def named(self, scores: Numbers) -> dict[str, Numbers]:
        """Turn scores into how likely each mark is; of alternatives, how the likelihood of one is shared."""
        columns = dict(zip(self.marks, scores.T, strict=True))
        likely = {name: _sigmoid(column) for name, column in columns.items()}
        for group in self._groups:
            together = np.stack([columns[name] for name in group])
            powers: Numbers = np.exp(together - together.max(axis=0))
            likely.update(zip(group, powers / powers.sum(axis=0), strict=True))
        return likely


def _floats(part: NDArray[np.generic], scale: NDArray[np.generic] | None) -> Numbers:
    floats = part.astype(np.float32)
    return floats if scale is None else floats * scale.astype(np.float32)


def read_model(path: Traversable) -> Model:
    """Read learned numbers from a file that `bench.narratives.training` wrote."""
    with path.open("rb") as stored:
        return Model(dict(np.load(stored)))


@lru_cache(maxsize=1)
def _own_model() -> Model:
    return read_model(files("server.reconcile.narrative") / WEIGHTS)


def _sigmoid(x: Numbers) -> Numbers:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def _encoded(text: str, model: Model) -> Numbers:
    """Return what each character means where it stands: a transformer as in BERT (Devlin et al., 2019)."""
    first, last = model.part("edges")[:1], model.part("edges")[1:]
    seen = np.vstack([first, model.embedded(text), last])
    seen = _normed(seen + model.part("positions")[: len(seen)], model, "norm0")
    for layer in (f"layer{place}" for place in range(model.layers)):
        joined = _linear(_attended(_linear(seen, model, f"{layer}.asked")), model, f"{layer}.joined")
        seen = _normed(seen + joined, model, f"{layer}.norm1")
        wide = _gelu(_linear(seen, model, f"{layer}.wide"))
        seen = _normed(seen + _linear(wide, model, f"{layer}.narrow"), model, f"{layer}.norm2")
    return seen[1:-1]


def _attended(asked: Numbers) -> Numbers:
    """Let each character look at all, from its query, key and value side by side (Vaswani et al., 2017)."""
    length, width = len(asked), asked.shape[1] // 3
    size = width // HEADS
    query, key, value = asked.reshape(length, 3, HEADS, size).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32(size**-0.5)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ value).transpose(1, 0, 2).reshape(length, width)


def _linear(seen: Numbers, model: Model, name: str) -> Numbers:
    return seen @ model.part(f"{name}.weight") + model.part(f"{name}.bias")


def _normed(seen: Numbers, model: Model, name: str) -> Numbers:
    apart = seen - seen.mean(axis=-1, keepdims=True)
    spread = np.sqrt((apart * apart).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    return apart / spread * model.part(f"{name}.weight") + model.part(f"{name}.bias")


def _gelu(x: Numbers) -> Numbers:
    """The Gaussian error linear unit by its tanh formula (Hendrycks and Gimpel, 2016)."""
    return (
        np.float32(0.5) * x * (1 + np.tanh(np.float32(0.79788456) * (x + np.float32(0.044715) * x * x * x)))
    )


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
