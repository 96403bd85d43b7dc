"""Detects speech with the model of Silero on onnxruntime, at 8000 Hz.

The model is a file of this package (MIT licence, next to it); the package of its authors would require torch.
onnxruntime is imported when a detector is made, not before: no process that only might need it pays for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE
from trunkline.core.errors import SetupError

FRAME = 256
"""Samples that the model evaluates at once."""

FRAME_SECONDS = FRAME / SAMPLE_RATE

_CONTEXT = 32
"""Samples before each frame that the model needs as context."""

_STATE = 128


MODEL = Path(__file__).with_name("silero_vad.onnx")
"""Version 6.2.3 of the model, for 8000 and 16 000 Hz."""


class Detector(Protocol):
    def probabilities(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """The probability of speech in each frame of :data:`FRAME_SECONDS`.

        :param samples: of shape ``(channels, n)``, of 8000 Hz.
        :returns: of shape ``(channels, frames)``; the last frame may reach beyond the sound.
        """
        ...


class SileroDetector:
    """Not safe for several threads.

    :raises SetupError: onnxruntime is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SetupError(
                "Voice analysis needs onnxruntime: install the extra `analysis` (pip install 'trunkline[analysis]'),"
                " or run scripts/bootstrap again."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(MODEL), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """See :class:`Detector`. The model gets all channels as one batch."""
        channels, length = samples.shape
        frames = -(-length // FRAME)
        result = np.zeros((channels, frames), dtype=np.float32)
        state = np.zeros((2, channels, _STATE), dtype=np.float32)
        window = np.zeros((channels, _CONTEXT + FRAME), dtype=np.float32)
        rate = np.array(SAMPLE_RATE, dtype=np.int64)
        for number in range(frames):
            part = samples[:, number * FRAME : (number + 1) * FRAME]
            window[:, :_CONTEXT] = window[:, FRAME:]
            window[:, _CONTEXT:] = 0
            window[:, _CONTEXT : _CONTEXT + part.shape[1]] = part / np.float32(32768)
            output, state = self._session.run(None, {"input": window, "state": state, "sr": rate})
            result[:, number] = output[:, 0]
        return result
