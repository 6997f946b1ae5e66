"""OpenSim's tables."""

import numpy as np

from video2emg.inference.output.storage import storage


def test_a_table_of_many_minutes_keeps_its_times_names_and_unknown_values(tmp_path):
    time = 1200.0 + np.arange(50) / 50
    values = np.column_stack([np.sin(time), np.cos(time)])
    values[10:20, 1] = np.nan
    path = tmp_path / "nanometres.sto"
    path.write_text(storage("nanometres", time, ("left_nan", "right_soleus"), values))
    head = path.read_text().splitlines()
    assert head[0] == "nanometres" and head[6] == "time\tleft_nan\tright_soleus"
    rows = np.array([[float(x) for x in line.split("\t")] for line in head[7:]])
    np.testing.assert_allclose(rows[:, 0], time, atol=1e-6)
    np.testing.assert_allclose(rows[:, 1:], values, atol=1e-5)
    assert "NaN" in head[7 + 12] and "NaN" not in head[7]
