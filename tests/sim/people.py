"""A standard person for the simulator's tests."""

import dataclasses

from video2emg.sim import body
from video2emg.sim.tempo import Cycle, Tempo

PERSON = dataclasses.replace(body.reference_subject(False), skill=0.7, seed=5)

# One repetition.
TEMPO = Tempo((Cycle(start=0.4, first=1.2, hold=0.1, second=1.2, depth=1.0),), duration=3.2)
