"""What does a tagger that learned from labelled accounts see at each character of a text?

A transformer that starts from a published one, one bidirectional LSTM layer that is told what the lists read
too, one linear layer: learned from labelled accounts (`bench/narratives/training.py`), kept as an ONNX graph
(`bench/narratives/graph.py`). So it knows where the lists are to be trusted, and has the last word.
The same text gives the same marks on one machine; between machines they differ in the last digits.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions  # pyright: ignore[reportAttributeAccessIssue]

from server.reconcile.narrative.claim import Claim, Kind

Numbers = NDArray[np.floating[Any]]
Span = tuple[int, int]

WEIGHTS: Final = "tagger.onnx"
ENDS: Final = "。；！？\n;!?"
"""What ends a sentence, for whoever learns, reads and scores."""
PAUSES: Final = "，、, "
PORTION: Final = 320  # characters; few accounts that it learned from are longer
INSIDE: Final = 0.5
"""How likely a character belongs to a stretch; where the bar of that is lower, it decides."""
UNKNOWN: Final = 1
"""The row of whatever was not seen in learning; row 0 is no character at all."""
LONE_VALUES: Final = {"absent": "debtor", "debt": "confirmed", "outcome": "refused"}
"""Kinds of one value, which have no mark of their own for it."""


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
    model = model or own_model()
    told, scores, start = model.told(listed, len(text)), list[Numbers](), 0
    for part in portions(text):
        scores.append(model.scores(part, told[start : start + len(part)]))
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


class Model:
    """A learned graph, with the characters and pairs of them that have rows and the marks that it knows."""

    def __init__(self, path: Path) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the processes share the cores
        options.log_severity_level = 3  # errors alone
        self._graph = InferenceSession(path, options, providers=["CPUExecutionProvider"])
        words: dict[str, str] = self._graph.get_modelmeta().custom_metadata_map
        pairs = words["pairs"]
        self.chars = rows(words["chars"])
        self.pairs = rows(pairs[at : at + 2] for at in range(0, len(pairs), 2))
        self.marks = words["marks"].split()
        self._listed = {mark: place for place, mark in enumerate(words["listed"].split())}
        self._groups = [group.split() for group in words["alternatives"].split("|")]

    def scores(self, text: str, told: Numbers) -> Numbers:
        """Score each mark at each character of at most `PORTION`."""
        chars = [self.chars.get(normal(char), UNKNOWN) for char in text]
        pairs = [*(self.pairs.get(one + other, UNKNOWN) for one, other in pairwise(text)), UNKNOWN]
        seen = {"chars": np.array(chars, np.int64), "pairs": np.array(pairs, np.int64), "told": told}
        return cast(Numbers, self._graph.run(["scores"], seen)[0])

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
        likely = {name: np.float32(1) / (np.float32(1) + np.exp(-column)) for name, column in columns.items()}
        for group in self._groups:
            together = np.stack([columns[name] for name in group])
            powers: Numbers = np.exp(together - together.max(axis=0))
            likely.update(zip(group, powers / powers.sum(axis=0), strict=True))
        return likely


def rows(names: Iterable[str]) -> dict[str, int]:
    """Give each name its row, in the order of their first mention."""
    return {name: row for row, name in enumerate(dict.fromkeys(names), UNKNOWN + 1)}


@lru_cache(maxsize=1)
def own_model() -> Model:
    """Read what the product's own tagger learned."""
    with as_file(files("server.reconcile.narrative") / WEIGHTS) as path:
        return Model(path)
