"""Where on the body a load is, by the name of the equipment or of the exercise."""

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError

PLACES = ("left_hand", "right_hand", "back", "hips", "feet")

# Share of the load at each of `PLACES`. The load of dumbbells is that of each hand, the load of a
# barbell that of the whole bar (`Clip.load`).
EQUIPMENT = {
    "none": (0, 0, 0, 0, 0),
    "dumbbell": (1, 1, 0, 0, 0),
    "dumbbell_left": (1, 0, 0, 0, 0),
    "dumbbell_right": (0, 1, 0, 0, 0),
    "barbell": (0.5, 0.5, 0, 0, 0),
    "barbell_back": (0, 0, 1, 0, 0),
    "barbell_hips": (0, 0, 0, 1, 0),
    "ankle_weights": (0, 0, 0, 0, 1),
}
_IN_EACH_HAND = ("dumbbell", "kettlebell")
_SOMEWHERE = ("one_arm", "single_arm", "free_")  # names that do not say where the load is
# Barbell exercises in which the bar lies on the shoulders, or on the hips, and not in the hands.
_ON_SHOULDERS = ("squat", "good_morning", "lunge", "split_squat", "calf_raise")
_ON_HIPS = ("hip_thrust", "glute_bridge")


def load_shares(action: str, equipment: str = "") -> Float[np.ndarray, " 5"] | None:
    """Share of the load at each of `PLACES`; None if nothing says where it is.

    Args:
      action: name of the exercise, which often names the equipment.
      equipment: a name of `EQUIPMENT`, which goes before; names of barbells in the hands may go on
        (`barbell_overhead`).
    """
    name = equipment or _equipment_of(action)
    if name not in EQUIPMENT and name.startswith("barbell_"):
        name = "barbell"
    return np.array(EQUIPMENT[name], np.float32) if name in EQUIPMENT else None


def name_of_shares(shares: Float[np.ndarray, " 5"]) -> str:
    """A name of `EQUIPMENT` with these shares of the load."""
    return next(name for name, known in EQUIPMENT.items() if np.array_equal(known, shares))


def check_equipment(name: str, where: str) -> None:
    """Refuses an equipment that nobody holds.

    Raises:
      UserError: the message begins with `where`.
    """
    if name and load_shares("", name) is None:
        raise UserError(f"{where}: equipment {name!r} is not one of {', '.join(EQUIPMENT)}")


def _equipment_of(action: str) -> str:
    if any(name in action for name in _SOMEWHERE):
        return ""
    if "barbell" in action:
        if action.endswith(_ON_HIPS):
            return "barbell_hips"
        return "barbell_back" if action.endswith(_ON_SHOULDERS) else "barbell"
    if any(name in action for name in _IN_EACH_HAND):
        return "dumbbell"
    return "none" if action.startswith("bodyweight") else ""
