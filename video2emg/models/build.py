"""Builds the model that a configuration describes."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from video2emg.core import vocabulary
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models import encoders, fusion
from video2emg.models.blocks import REMAT
from video2emg.models.encoders import Encoder
from video2emg.models.published import pose_to_emg
from video2emg.models.published.i3d import I3D
from video2emg.models.published.videoprism import VideoPrism
from video2emg.models.published.vit import VideoMAE, ViT
from video2emg.models.video2emg import Video2EMG

ENCODERS = {
    "cnn": encoders.FrameCNN,
    "tubelet": encoders.TubeletTransformer,
    "pose": encoders.PoseMLP,
    "i3d": I3D,
    "vit": ViT,
    "videomae": VideoMAE,
    "videoprism": VideoPrism,
}


def build(
    config: Config,
    *,
    frames: int,
    size: int,
    frame_rate: float,
    emg_rate: float,
    joints: int = 0,
    dofs: int = 0,
) -> nn.Module:
    """Builds the model that `config` (`config.model`) describes, for one shape of examples.

    Args:
      config: see `configs/v2emg.py`.
      frames: T, video frames per window.
      size: S, px.
      frame_rate: Hz.
      emg_rate: Hz.
      joints: J, joints of the pose targets; 0 if there are none.
      dofs: D, joint torques of the targets; 0 if there are none.

    Raises:
      UserError: unknown or contradictory settings, or rates or sizes that do not divide.
    """
    if "system" in config:
        return _published_system(config.system, emg_rate / frame_rate)
    encoder = _build_encoder(config, frame_rate)
    extra_inputs = tuple(config.extra_inputs)
    _check_causal(config, encoder, frames, frame_rate)
    _check_inputs(config, extra_inputs, encoder)
    _check_shape(config, encoder, frames, size, frame_rate, emg_rate)
    if config.moment_arms and dofs not in (0, len(vocabulary.DOFS)):
        raise UserError(
            "config.model.moment_arms: the dataset's joint torques are not those of the "
            "vocabulary; try config.data.torque=static"
        )
    # An input need not be predicted.
    pose_given = isinstance(encoder, encoders.PoseMLP) or "pose" in extra_inputs
    return Video2EMG(
        encoder=encoder,
        dim=config.dim,
        heads=config.heads,
        layers=config.layers,
        decoder_layers=config.decoder_layers,
        frame_rate=frame_rate,
        emg_rate=emg_rate,
        joints=joints if config.auxiliary and not pose_given else 0,
        dofs=dofs if config.auxiliary else 0,
        load="load" not in extra_inputs,
        predicted_mae=config.predicted_mae,
        dropout=config.dropout,
        causal=config.causal,
        lookahead_s=config.lookahead_s,
        extra_inputs=extra_inputs,
        fusion=config.fusion,
        bottlenecks=config.bottlenecks,
        view_embedding=config.view_embedding,
        moment_arms=bool(dofs) and config.moment_arms,
        pose_refinement_layers=config.pose_refinement_layers,
        teacher_forcing=config.teacher_forcing,
        dtype=jnp.dtype(config.dtype),
    )


def token_rate(config: Config, frame_rate: float) -> float:
    """Tokens per second (Hz) of one view, in the model that `config` (`config.model`) describes."""
    return (
        frame_rate if "system" in config else frame_rate / _build_encoder(config, frame_rate).stride
    )


def _build_encoder(config: Config, frame_rate: float) -> Encoder:
    name = config.encoder.name
    if name not in ENCODERS:
        raise UserError(f"config.model.encoder.name: {name!r} is not one of {sorted(ENCODERS)}")
    if "remat" in config.encoder and config.encoder.remat not in REMAT:
        raise UserError(
            f"config.model.encoder.remat: {config.encoder.remat!r} is not one of {sorted(REMAT)}"
        )
    settings = {
        **config.encoder,
        "frame_rate": frame_rate,
        "dtype": jnp.dtype(config.dtype),
        "causal": config.causal,
    }
    # Settings of other encoders are ignored, so that the name alone can be changed.
    fields = [f for f in dataclasses.fields(ENCODERS[name]) if f.name not in ("name", "parent")]
    missing = [
        f.name for f in fields if f.default is dataclasses.MISSING and f.name not in settings
    ]
    if missing:
        raise UserError(f"config.model.encoder: {name} needs {', '.join(missing)}")
    return ENCODERS[name](**{f.name: settings[f.name] for f in fields if f.name in settings})


def _check_causal(config: Config, encoder: Encoder, frames: int, frame_rate: float) -> None:
    if config.causal and not encoder.causal:
        raise UserError(
            f"config.model.causal: the encoder {config.encoder.name} looks ahead; use cnn, vit, or "
            "tubelet with stride 1"
        )
    delay = config.lookahead_s * frame_rate  # frames
    valid = config.causal and abs(delay - round(delay)) < 1e-6 and 0 < delay < frames
    if config.lookahead_s and not valid:
        raise UserError(
            f"config.model.lookahead_s: {config.lookahead_s:g} s; only a causal model can be "
            f"delayed, by whole frames ({frame_rate:g} Hz) and by less than a window"
        )
    if config.causal and config.pose_refinement_layers:
        raise UserError(
            "config.model.pose_refinement_layers: must be 0 for a causal model; the velocity of a "
            "joint is known only after the next frame"
        )


def _check_inputs(config: Config, extra_inputs: tuple[str, ...], encoder: Encoder) -> None:
    known = list(vocabulary.INPUTS)
    if isinstance(encoder, encoders.PoseMLP):
        known.remove("pose")  # the encoder's own input
    for name in extra_inputs:
        if name not in known or extra_inputs.count(name) > 1:
            raise UserError(f"config.model.extra_inputs: {extra_inputs} is not a choice of {known}")
        if config.causal and name not in fusion.CONSTANT_INPUTS:
            raise UserError(
                f"config.model.extra_inputs: a causal model cannot use {name}, which is known only "
                "at the end of the window"
            )
    if config.fusion not in fusion.MODES:
        raise UserError(
            f"config.model.fusion: {config.fusion!r} is not one of {', '.join(fusion.MODES)}"
        )
    if config.causal and config.fusion != "joint":
        raise UserError("config.model.causal: needs config.model.fusion=joint")


def _check_shape(
    config: Config, encoder: Encoder, frames: int, size: int, frame_rate: float, emg_rate: float
) -> None:
    samples_per_token = encoder.stride * emg_rate / frame_rate
    if samples_per_token != round(samples_per_token) or frames % encoder.stride:
        raise UserError(
            f"config.data: emg_rate {emg_rate:g} Hz must be a multiple of frame_rate "
            f"{frame_rate:g} Hz / {encoder.stride}, and the window a whole number of tokens"
        )
    if size % encoder.granularity:
        raise UserError(
            f"config.data.size: {size} px is not a multiple of {encoder.granularity} px, as "
            f"config.model.encoder ({config.encoder.name}) needs"
        )


def _published_system(config: Config, samples: float) -> nn.Module:
    """A published pose → EMG system, with `samples` EMG samples per pose sample."""
    if config.name not in pose_to_emg.NAMES:
        raise UserError(
            f"config.model.system.name: {config.name!r} is not one of "
            f"{', '.join(pose_to_emg.NAMES)}"
        )
    if samples != round(samples):
        raise UserError("config.data: emg_rate must be a multiple of frame_rate")
    settings = {name: value for name, value in config.items() if name != "name"}
    return pose_to_emg.PoseToEMG(config.name, round(samples), settings)
