"""The simulated gym: subject → motion → inverse dynamics → muscles → sEMG and video. No jax."""
