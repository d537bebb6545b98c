"""What does the tagger compute while it learns? The same as `server.reconcile.narrative.tagger`, in PyTorch.

The transformer starts from a published one that has read far more Chinese than anybody can label here: the
lower half of BERT (Devlin et al., "BERT", 2019; Apache-2.0) for Chinese. Pairs of characters, the LSTM and
what stands above it are learned from our accounts alone.
"""

# pyright: reportMissingImports=false
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from server.reconcile.narrative.tagger import DIRECTIONS, HEADS, SCALE, UNKNOWN, Model

LAYERS, WIDTH, PAIR, TOP = 6, 768, 48, 192
EDGES: Final = ("[CLS]", "[SEP]")
NOTHING = 0
FAR_BELOW: Final = -1e4  # the score of a place that is not there, in half precision too
MANY: Final = 10_000  # numbers of a part that is stored as bytes
LINEAR: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
NORMS: Final = ("attention.output.LayerNorm", "output.LayerNorm")


class Published:
    """The published transformer, as a folder with `model_optimized.onnx` and `vocab.txt` has it in bytes."""

    def __init__(self, folder: Path) -> None:
        graph = cast(Any, onnx.load(str(folder / "model_optimized.onnx"))).graph
        self._parts: dict[str, NDArray[Any]] = {
            part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer
        }
        # The exporter gave the tables of the layers numbers for names, in the order in which they are used.
        numbered = (name for name in self._parts if re.fullmatch(r"onnx::MatMul_\d+_scale", name))
        self._tables = sorted(
            (name.removesuffix("_scale") for name in numbered), key=lambda name: int(name.rpartition("_")[2])
        )
        self._rows = {
            token: row for row, token in enumerate((folder / "vocab.txt").read_text("utf-8").split("\n"))
        }
        self._words = self._numbers("wrapped.bert.embeddings.word_embeddings.weight")

    def characters(self) -> list[str]:
        """Return the characters that it knows."""
        return [token for token in self._rows if len(token) == 1]

    def embedding(self, token: str) -> NDArray[np.float32]:
        return self._words[self._rows.get(token, self._rows["[UNK]"])]

    def table(self, chars: Mapping[str, int]) -> NDArray[np.float32]:
        """Return the embedding of each row; a character that it does not know starts as its unknown one."""
        table = np.zeros((len(chars) + UNKNOWN + 1, WIDTH), np.float32)
        table[UNKNOWN] = self.embedding("[UNK]")
        for char, row in chars.items():
            table[row] = self.embedding(char)
        return table

    def positions(self) -> NDArray[np.float32]:
        """Return what each place adds; the kind of segment is the same everywhere."""
        places, segment = (
            self._numbers(f"wrapped.bert.embeddings.{part}_embeddings.weight")
            for part in ("position", "token_type")
        )
        return places + segment[0]

    def linear(self, layer: int, *parts: int) -> nn.Linear:
        """Return these linear parts of a layer (places in `LINEAR`) side by side as one."""
        weights = [self._numbers(self._tables[len(LINEAR) * layer + part]) for part in parts]
        biases = [self._parts[f"wrapped.bert.encoder.layer.{layer}.{LINEAR[part]}.bias"] for part in parts]
        weight = np.concatenate(weights, axis=1).T
        made = nn.Linear(weight.shape[1], weight.shape[0])
        made.weight.data, made.bias.data = torch.tensor(weight), torch.tensor(np.concatenate(biases))
        return made

    def norm(self, name: str) -> nn.LayerNorm:
        made = nn.LayerNorm(WIDTH)
        made.weight.data = torch.tensor(self._parts[f"wrapped.bert.{name}.weight"])
        made.bias.data = torch.tensor(self._parts[f"wrapped.bert.{name}.bias"])
        return made

    def _numbers(self, name: str) -> NDArray[np.float32]:
        whole, zero, scale = (
            self._parts[f"{name}_{part}"].astype(np.float32) for part in ("quantized", "zero_point", "scale")
        )
        return (whole - zero) * scale


class Layer(nn.Module):
    """A layer of the transformer, its norms behind."""

    def __init__(self, published: Published, place: int) -> None:
        super().__init__()
        self.asked = published.linear(place, 0, 1, 2)
        self.joined, self.wide, self.narrow = (published.linear(place, part) for part in (3, 4, 5))
        self.norm1, self.norm2 = (published.norm(f"encoder.layer.{place}.{name}") for name in NORMS)

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

    def __init__(self, published: Published, chars: Mapping[str, int]) -> None:
        super().__init__()
        self.chars = nn.Embedding.from_pretrained(
            torch.tensor(published.table(chars)), freeze=False, padding_idx=NOTHING
        )
        self.edges = nn.Parameter(torch.tensor(np.stack([published.embedding(edge) for edge in EDGES])))
        self.positions = nn.Parameter(torch.tensor(published.positions()))
        self.norm0 = published.norm("embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(published, place) for place in range(LAYERS))

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

    def __init__(
        self, published: Published, chars: Mapping[str, int], pairs: int, listed: int, marks: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(published, chars)
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

    def stored(self) -> dict[str, NDArray[Any]]:
        """Return the learned numbers under the names by which the product's tagger reads them.

        Large parts are bytes with a scale for each column: half of what half precision takes.
        """
        stored: dict[str, NDArray[Any]] = {}
        for name, part in self._named():
            numbers = part.detach().numpy()
            if numbers.size < MANY:
                stored[name] = numbers.astype(np.float16)
                continue
            scale = np.maximum(np.abs(numbers).max(axis=0), np.float32(1e-8)) / 127
            stored[name], stored[name + SCALE] = np.rint(numbers / scale).astype(np.int8), scale
        return stored

    @torch.no_grad()
    def restore(self, model: Model) -> None:
        """Take back what the product's tagger has."""
        for name, part in self._named():
            part.copy_(torch.tensor(model.part(name)))

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        """Each part as the product has it."""
        encoder = self.encoder
        yield from (("chars.weight", encoder.chars.weight), ("pairs.weight", self.pairs.weight))
        yield from (("edges", encoder.edges), ("positions", encoder.positions))
        yield from _norm("norm0", encoder.norm0)
        for place, layer in enumerate(encoder.layers):
            for part in ("asked", "joined", "wide", "narrow"):
                yield from _linear(f"layer{place}.{part}", getattr(layer, part))
            for part in ("norm1", "norm2"):
                yield from _norm(f"layer{place}.{part}", getattr(layer, part))
        for direction, lstm in zip(DIRECTIONS, self.lstm, strict=True):
            yield f"lstm.{direction}.input", lstm.weight_ih_l0.T
            yield f"lstm.{direction}.recurrent", lstm.weight_hh_l0.T
            yield f"lstm.{direction}.bias", lstm.bias_ih_l0
        yield from _linear("out", self.out)


def _placed(seen: Tensor, places: Tensor) -> Tensor:
    return seen.gather(1, places.expand(-1, -1, seen.size(2)))


def _linear(name: str, linear: nn.Linear) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{name}.weight", linear.weight.T), (f"{name}.bias", linear.bias))


def _norm(name: str, norm: nn.LayerNorm) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{name}.weight", norm.weight), (f"{name}.bias", norm.bias))
