"""Training: losses, state, step, loop, checkpoints and logs."""
