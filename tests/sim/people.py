"""A standard person for the simulator's tests."""

import dataclasses

from video2emg.sim import body

PERSON = dataclasses.replace(body.reference_subject(False), skill=0.7, seed=5)
