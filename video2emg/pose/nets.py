"""TensorFlow Lite nets, run by LiteRT on the CPU."""

from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError


class Net:
    """A loaded net."""

    def __init__(self, path: Path, threads: int = 2):
        """Loads a net.

        Args:
          path: of the `.tflite` file.
          threads: of one call.

        Raises:
          UserError: LiteRT is not installed, or the file is damaged.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise UserError(
                'the pose estimator needs ai-edge-litert: pip install ".[pose]"'
            ) from None
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path}: damaged net ({str(error).splitlines()[0][:120]})") from None
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """The outputs for one picture [1, S, S, 3] float32, in the order of the file."""
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output) for output in self._outputs]
