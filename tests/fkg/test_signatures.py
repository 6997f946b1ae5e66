import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.core.segment_directions import SEGMENTS
from video2emg.fkg import signatures
from video2emg.fkg.signatures import Signature

LEAN = np.zeros((3, len(SEGMENTS), 3))
LEAN[1, 2, 1] = 0.4  # the trunk leans by 0.4 rad at the turn
SIGNATURE = Signature(LEAN, (0.75, 1.0), 0.8)


def test_a_signature_is_proportional_to_severity_and_linear_in_between():
    phase = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 3.0])
    turned = SIGNATURE.at(phase, 0.4)
    np.testing.assert_allclose(turned[:, 2, 1], [0, 0, 0.1, 0.2, 0.1, 0])
    assert turned.shape == (6, len(SEGMENTS), 3)
    assert SIGNATURE.stretched(0.4) == pytest.approx((0.875, 1.0))
    assert SIGNATURE.stretched(0.8) == pytest.approx((0.75, 1.0))


def test_files_are_read_back(tmp_path):
    path = tmp_path / "signatures.npz"
    signatures.write(path, {("squat", "lean"): SIGNATURE})
    ((pair, found),) = signatures.read(path).items()
    assert pair == ("squat", "lean") and found.severity == pytest.approx(0.8)
    np.testing.assert_allclose(found.rotation, LEAN, atol=1e-3)
    assert found.duration == pytest.approx((0.75, 1.0), abs=1e-3)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone.npz: not a file of signatures"):
        signatures.read(tmp_path / "gone.npz")
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(UserError, match="not a file of signatures"):
        signatures.read(tmp_path / "other.npz")
    wrong = {"severity": 0.8, "a/b/rotation": np.zeros((3, 2, 3)), "a/b/duration": np.ones(2)}
    np.savez(tmp_path / "wrong.npz", **wrong)
    with pytest.raises(UserError, match=r"a/b/rotation has the shape \(3, 2, 3\)"):
        signatures.read(tmp_path / "wrong.npz")
