"""Draws docs/img/gymsim_exercises.png: every exercise of the simulated gym in mid-movement.

python -m analyses.gymsim_sheet [--view front_left] [--out picture.png]
"""

import argparse
import pathlib

import numpy as np
from PIL import Image, ImageDraw

from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, Exercise
from video2emg.sim.raster import Camera, Scene
from video2emg.sim.record import VIEWS, perform
from video2emg.sim.tempo import POSE_RATE

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "img" / "gymsim_exercises.png"
COLUMNS, SIZE = 5, 208
MOMENT = 0.6  # of the first phase


def picture(exercise: Exercise, person: int, view: str) -> np.ndarray:
    """[S, S, 3] one instant of a repetition without errors, at half of the range of loads."""
    low, high, step = exercise.loads
    load = low + step * round((high - low) / 2 / step)
    done = perform(subjects.sample(person, 77), exercise, load, [{}], 3)
    cycle = done.tempo.cycles[0]
    at = [round(POSE_RATE * (cycle.start + MOMENT * (cycle.turn - cycle.start)))]
    camera = Camera(VIEWS[view], elevation_deg=-9, distance=3.05, look_at=(0, 0, 1.0), size=SIZE)
    scene = Scene(done.lifter.model, supersample=2)
    return scene.film(done.motion.geom_position[at], done.motion.geom_rotation[at], camera)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--view", default="front_left", choices=VIEWS)
    parser.add_argument("--out", type=pathlib.Path, default=PAGE)
    flags = parser.parse_args()
    sheet = Image.new("RGB", (COLUMNS * SIZE, -(-len(EXERCISES) // COLUMNS) * SIZE))
    for k, exercise in enumerate(EXERCISES.values()):
        tile = Image.fromarray(picture(exercise, k % 7, flags.view))
        ImageDraw.Draw(tile).text((5, 4), exercise.name.replace("_", " "), fill=(255, 255, 255))
        sheet.paste(tile, (k % COLUMNS * SIZE, k // COLUMNS * SIZE))
    sheet.save(flags.out, optimize=True)
    print(f"{flags.out}: {len(EXERCISES)} exercises from {flags.view}")


if __name__ == "__main__":
    main()
