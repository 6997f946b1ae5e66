"""Mechanics of the body as differentiable layers: joints → torques → muscle activations."""
