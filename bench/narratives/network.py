"""What does the tagger compute while it learns? The same as `bench.narratives.graph`, in PyTorch.

The transformer starts from a published one that has read far more Chinese than anybody can label here: the
ten lower layers of BERT (Devlin et al., "BERT", 2019; Apache-2.0) for Chinese. Pairs of characters, the LSTM
and what stands above it are learned from our accounts alone.
"""

# pyright: reportMissingImports=false
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bench.narratives.graph import DIRECTIONS, HEADS
from server.reconcile.narrative.tagger import UNKNOWN, Numbers

LAYERS, WIDTH, PLACES, PAIR, TOP = 10, 768, 512, 48, 192
EDGES: Final = ("[CLS]", "[SEP]")
NOTHING = 0
FAR_BELOW: Final = -1e4  # the score of a place that is not there, in half precision too
LINEAR: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
AFFINE: Final = {"asked": (0, 1, 2), "joined": (3,), "wide": (4,), "narrow": (5,)}
NORMS: Final = {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}


class Published:
    """The published transformer, as a folder with `model_optimized.onnx` and `vocab.txt` has it in bytes."""

    def __init__(self, folder: Path) -> None:
        graph = cast(Any, onnx.load(str(folder / "model_optimized.onnx"))).graph
        self._kept: dict[str, NDArray[Any]] = {
            part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer
        }
        # The exporter gave the tables of the layers numbers for names, in the order in which they are used.
        numbered = (name for name in self._kept if re.fullmatch(r"onnx::MatMul_\d+_scale", name))
        self._tables = sorted(
            (name.removesuffix("_scale") for name in numbered), key=lambda name: int(name.rpartition("_")[2])
        )
        self._rows = {
            token: row for row, token in enumerate((folder / "vocab.txt").read_text("utf-8").split("\n"))
        }
        self._words = self._table("wrapped.bert.embeddings.word_embeddings.weight")

    def characters(self) -> list[str]:
        """Return the characters that it knows."""
        return [token for token in self._rows if len(token) == 1]

    def parts(self, chars: Mapping[str, int]) -> dict[str, Numbers]:
        """Return the parts of our transformer as `Network.named` names them, for these rows of characters."""
        places, segment = (
            self._table(f"wrapped.bert.embeddings.{part}_embeddings.weight")
            for part in ("position", "token_type")
        )
        parts = {
            "chars_weight": self._of_chars(chars),
            "edges": np.stack([self._embedding(edge) for edge in EDGES]),
            "positions": places + segment[0],  # the kind of segment is the same everywhere
            **self._norm("norm0", "embeddings.LayerNorm"),
        }
        for layer in range(LAYERS):
            for name, numbers in AFFINE.items():
                parts |= self._affine(f"layer{layer}_{name}", layer, numbers)
            for name, norm in NORMS.items():
                parts |= self._norm(f"layer{layer}_{name}", f"encoder.layer.{layer}.{norm}")
        return parts

    def _of_chars(self, chars: Mapping[str, int]) -> Numbers:
        """The embedding of each row; a character that it does not know starts as its unknown one."""
        table = np.zeros((len(chars) + UNKNOWN + 1, WIDTH), np.float32)
        table[UNKNOWN] = self._embedding("[UNK]")
        for char, row in chars.items():
            table[row] = self._embedding(char)
        return table

    def _embedding(self, token: str) -> Numbers:
        return self._words[self._rows.get(token, self._rows["[UNK]"])]

    def _affine(self, name: str, layer: int, places: Iterable[int]) -> dict[str, Numbers]:
        """These parts of a layer (places in `LINEAR`) beside each other as one."""
        weights = [self._table(self._tables[len(LINEAR) * layer + place]) for place in places]
        biases = [self._kept[f"wrapped.bert.encoder.layer.{layer}.{LINEAR[place]}.bias"] for place in places]
        return {f"{name}_weight": np.concatenate(weights, axis=1).T, f"{name}_bias": np.concatenate(biases)}

    def _norm(self, name: str, published: str) -> dict[str, Numbers]:
        kept = f"wrapped.bert.{published}"
        return {f"{name}_{part}": self._kept[f"{kept}.{part}"] for part in ("weight", "bias")}

    def _table(self, name: str) -> Numbers:
        whole, zero, scale = (
            self._kept[f"{name}_{part}"].astype(np.float32) for part in ("quantized", "zero_point", "scale")
        )
        return (whole - zero) * scale


class Layer(nn.Module):
    """A layer of the transformer, its norms behind."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.joined = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, seen: Tensor, absent: Tensor) -> Tensor:
        batch, time, width = seen.shape
        asked = self.asked(seen).view(batch, time, 3, HEADS, width // HEADS)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        scores = (query * (width // HEADS) ** -0.5) @ key.transpose(-1, -2) + absent.to(query.dtype)
        attended = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, time, width)
        seen = self.norm1(seen + self._dropped(self.joined(attended)))
        wide = functional.gelu(self.wide(seen), approximate="tanh")
        return self.norm2(seen + self._dropped(self.narrow(wide)))

    def _dropped(self, seen: Tensor) -> Tensor:
        """Drop the same numbers at every place of an account: to choose afresh takes a tenth of the time."""
        return seen * functional.dropout(torch.ones_like(seen[:, :1]), 0.1, self.training)


class Encoder(nn.Module):
    """The transformer: what each character means where it stands."""

    def __init__(self, chars: int) -> None:
        super().__init__()
        self.chars = nn.Embedding(chars, WIDTH, padding_idx=NOTHING)
        self.edges = nn.Parameter(torch.empty(len(EDGES), WIDTH))
        self.positions = nn.Parameter(torch.empty(PLACES, WIDTH))
        self.norm0 = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, chars: Tensor, lengths: Tensor) -> Tensor:
        batch, time = chars.shape
        first, last = (edge.expand(batch, 1, WIDTH) for edge in self.edges[:, None, None])
        at = torch.arange(time + len(EDGES))[None]
        seen = torch.cat([first, self.chars(chars), torch.zeros(batch, 1, WIDTH)], 1)
        seen = torch.where((at == lengths[:, None] + 1)[:, :, None], last, seen)
        seen = functional.dropout(self.norm0(seen + self.positions[: time + len(EDGES)]), 0.1, self.training)
        absent = torch.where(at < lengths[:, None] + len(EDGES), 0.0, FAR_BELOW)[:, None, None]
        for layer in self.layers:
            seen = layer(seen, absent)
        return seen[:, 1:-1]


class Network(nn.Module):
    """Scores of each mark at each character, from rows of characters and pairs and what the lists read there.

    All are (batch, time), the last (batch, time, marks of the lists).
    """

    def __init__(self, chars: int, pairs: int, listed: int, marks: int) -> None:
        super().__init__()
        self.encoder = Encoder(chars)
        self.pairs = nn.Embedding(pairs, PAIR, padding_idx=NOTHING)
        nn.init.normal_(self.pairs.weight, std=0.3)
        with torch.no_grad():
            self.pairs.weight[NOTHING] = 0
        width = WIDTH + 2 * PAIR + listed
        self.lstm = nn.ModuleList(nn.LSTM(width, TOP, batch_first=True) for _ in DIRECTIONS)
        for name, part in self.lstm.named_parameters():
            if "bias_hh" in name:  # the other bias says the same
                nn.init.zeros_(part).requires_grad_(False)
        self.out = nn.Linear(2 * TOP, marks)

    def forward(self, chars: Tensor, pairs: Tensor, listed: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):  # half the time to learn
            encoded = self.encoder(chars, lengths)
        paired = self.pairs(pairs)
        behind = functional.pad(paired, (0, 0, 1, 0))[:, :-1]
        parts = [self._dropped(encoded.float(), 0.2), self._dropped(paired, 0.3), self._dropped(behind, 0.3)]
        forwards = torch.cat([*parts, listed], -1)
        # Turned round account by account: packed sequences would take time by the square of the length.
        at = torch.arange(chars.size(1))[None]
        turned = torch.where(at < lengths[:, None], lengths[:, None] - 1 - at, at)[:, :, None]
        forward, backward = self.lstm
        back = _placed(backward(_placed(forwards, turned))[0], turned)
        return self.out(self._dropped(torch.cat([forward(forwards)[0], back], -1), 0.3))

    def _dropped(self, seen: Tensor, share: float) -> Tensor:
        return functional.dropout(seen, share, self.training)

    @torch.no_grad()
    def begin_with(self, parts: Mapping[str, Numbers]) -> None:
        """Take the parts that are there from what was learned before."""
        for name, part in self.named():
            if name in parts:
                part.copy_(torch.tensor(parts[name]))

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """Each part that is learned, as PyTorch lays it."""
        encoder = self.encoder
        yield from (("chars_weight", encoder.chars.weight), ("pairs_weight", self.pairs.weight))
        yield from (("edges", encoder.edges), ("positions", encoder.positions))
        yield from _affine("norm0", encoder.norm0)
        for place, layer in enumerate(encoder.layers):
            for part in ("asked", "joined", "wide", "narrow", "norm1", "norm2"):
                yield from _affine(f"layer{place}_{part}", getattr(layer, part))
        for half, lstm in zip(DIRECTIONS, self.lstm, strict=True):
            yield f"{half}_input", lstm.weight_ih_l0
            yield f"{half}_recurrent", lstm.weight_hh_l0
            yield f"{half}_bias", lstm.bias_ih_l0
        yield from _affine("out", self.out)


def _placed(seen: Tensor, places: Tensor) -> Tensor:
    return seen.gather(1, places.expand(-1, -1, seen.size(2)))


def _affine(name: str, part: nn.Linear | nn.LayerNorm) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{name}_weight", part.weight), (f"{name}_bias", part.bias))
