"""Physiology that the layers and the simulator share. Needs no jax."""

RESIDUAL_COST = 0.5  # of a torque residual of one tolerance, in units of activation²
DELAY = 0.04  # s from EMG to force (electromechanical delay; Cavanagh & Komi, 1979)
RISE, FALL = 0.015, 0.05  # s, activation and deactivation (Thelen, 2003)

# Share of the mean drive of the vasti that is added to rectus femoris' own drive, see
# `anatomy.common_drive`. Where the vasti are most active, rectus femoris then has 0.56 to 0.66 of
# their drive in simulated squats. Measured: 0.49, 0.64 and 0.78 in one person who walked and ran
# (`analyses/common_drive.py`).
COMMON_DRIVE = 0.5

# Joint angles of daily postures, rad, from which the range of a muscle's length follows.
HINGE_RANGE = {
    "lumbar_flexion": (-0.4, 0.9),
    "lumbar_bend": (-0.3, 0.3),
    "lumbar_turn": (-0.3, 0.3),
    "thoracic": (-0.2, 0.3),
    "elbow": (0, 2.5),
    "pronation": (-1, 1.4),
    "wrist": (-0.5, 0.5),
    "clavicle": (-0.1, 0.5),
    "knee": (0, 2.2),
    "ankle": (-0.6, 0.5),
    "subtalar": (-0.3, 0.3),
    "neck": (-0.3, 0.3),
}
# Abduction, flexion, axial rotation.
BALL_RANGE = {
    "shoulder": ((-0.2, 1.8), (-0.8, 1.8), (-0.6, 0.6)),
    "hip": ((-0.3, 0.5), (-0.3, 1.9), (-0.4, 0.4)),
}
