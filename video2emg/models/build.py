"""Builds the model that a configuration describes."""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from video2emg.core import vocabulary
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models import auxiliary, encoders
from video2emg.models.blocks import REMAT
from video2emg.models.encoders import Encoder
from video2emg.models.mechanics_prior import MechanicsPrior
from video2emg.models.outputs import pose_stride
from video2emg.models.pose_cleaner import PoseCleaner
from video2emg.models.pose_network import PoseNetwork
from video2emg.models.published import pose_to_emg
from video2emg.models.published.i3d import I3D
from video2emg.models.published.videoprism import VideoPrism
from video2emg.models.published.vit import VideoMAE, ViT
from video2emg.models.video2emg import Video2EMG
from video2emg.physics import anatomy

ENCODERS = {
    "cnn": encoders.FrameCNN,
    "tubelet": encoders.TubeletTransformer,
    "i3d": I3D,
    "vit": ViT,
    "videomae": VideoMAE,
    "videoprism": VideoPrism,
}
POSE = "pose"  # the name of an encoder: no video, the pose is the input


def build(
    config: Config,
    *,
    frames: int,
    size: int,
    frame_rate: float,
    emg_rate: float,
    joints: Sequence[str] = (),
    dofs: Sequence[str] = (),
) -> nn.Module:
    """Builds the model that `config` (`config.model`) describes, for one shape of examples.

    Args:
      config: see `configs/v2emg.py`.
      frames: T, video frames per window.
      size: S, px.
      frame_rate: Hz.
      emg_rate: Hz.
      joints: names of the joints of the pose; none if the data has no pose.
      dofs: names of the joint torques of the targets; none if there are none.

    Raises:
      UserError: unknown or contradictory settings, or rates or sizes that do not divide.
    """
    if "system" in config:
        return _published_system(config.system, emg_rate / frame_rate)
    encoder = _build_encoder(config, frame_rate)
    extra_inputs = tuple(config.extra_inputs)
    if encoder is not None:
        _check_encoder(config, encoder, frames, size)
    _check_causal(config, encoder, frames, frame_rate)
    _check_inputs(config, extra_inputs, encoder)
    _check_rate(config, frames, frame_rate, emg_rate)
    if config.moment_arms and tuple(dofs) not in ((), vocabulary.DOFS):
        raise UserError(
            "config.model.moment_arms: the dataset's joint torques are not those of the "
            "vocabulary; try config.data.torque=static"
        )
    predicts_pose = encoder is not None and bool(joints) and config.auxiliary
    has_pose = encoder is None or predicts_pose or POSE in extra_inputs
    return Video2EMG(
        encoder=encoder,
        pose_network=_build_pose_network(config, tuple(joints) if has_pose else (), frame_rate),
        cleaner=_build_cleaner(config, tuple(joints), frame_rate),
        mechanics=_build_mechanics(config, tuple(joints) if has_pose else (), frame_rate, emg_rate),
        hide_pose=config.mechanics.hide_pose,
        dim=config.dim,
        heads=config.heads,
        layers=config.layers,
        frame_rate=frame_rate,
        emg_rate=emg_rate,
        dofs=tuple(dofs) if config.auxiliary else (),
        pose=predicts_pose,
        load=config.auxiliary and (encoder is not None or "load" not in extra_inputs),
        predicted_mae=config.predicted_mae,
        dropout=config.dropout,
        causal=config.causal,
        extra_inputs=extra_inputs,
        view_embedding=config.view_embedding,
        symmetric=config.symmetric,
        moment_arms=bool(dofs) and config.moment_arms,
        dtype=jnp.dtype(config.dtype),
    )


def token_rate(config: Config, frame_rate: float) -> float:
    """Tokens per second (Hz) of one view, in the model that `config` (`config.model`) describes."""
    encoder = None if "system" in config else _build_encoder(config, frame_rate)
    return frame_rate if encoder is None else frame_rate / encoder.stride


def head_rate(main: Config) -> float:
    """Tokens per second (Hz) of one view that a head reads; `main` is a whole config."""
    rate = token_rate(main.model, main.data.frame_rate)
    if main.data.views:
        return rate
    return rate / pose_stride(round(main.data.seconds * main.data.frame_rate))


def _build_encoder(config: Config, frame_rate: float) -> Encoder | None:
    """The encoder of the video; None if the pose is the input."""
    name = config.encoder.name
    if name == POSE:
        return None
    if name not in ENCODERS:
        known = sorted([*ENCODERS, POSE])
        raise UserError(f"config.model.encoder.name: {name!r} is not one of {known}")
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


def _build_pose_network(config: Config, joints: tuple[str, ...], frame_rate: float) -> PoseNetwork:
    delay, ahead = 0, None
    if config.causal:
        # A value between two frames needs the second one.
        frames = round(config.lookahead_s * frame_rate)
        delay = int(frames == 0)
        ahead = int(max(frames - 1, 0) * config.pose_network.rate / frame_rate)
    return PoseNetwork(
        joints=joints,
        frame_rate=frame_rate,
        dropout=config.dropout,
        dtype=jnp.dtype(config.dtype),
        delay=delay,
        ahead=ahead,
        **config.pose_network,
    )


def _build_cleaner(
    config: Config, joints: tuple[str, ...], frame_rate: float
) -> PoseCleaner | None:
    """What corrects the given pose, if `config.clean_pose` wants it."""
    if not config.clean_pose:
        return None
    if config.encoder.name != POSE or config.causal:
        raise UserError(
            "config.model.clean_pose: only for models that read the pose "
            f"(config.model.encoder.name={POSE}) and may look ahead (config.model.causal=False)"
        )
    return PoseCleaner(_build_pose_network(config, joints, frame_rate))


def _build_mechanics(
    config: Config, joints: tuple[str, ...], frame_rate: float, emg_rate: float
) -> MechanicsPrior | None:
    """Mechanics of the pose, if `config.mechanics.anatomy` names one and there is a pose."""
    settings = {name: value for name, value in config.mechanics.items() if name != "hide_pose"}
    if not settings["anatomy"]:
        return None
    anatomy.load(settings["anatomy"])
    if config.causal:
        raise UserError(
            "config.model.mechanics.anatomy: mechanics look ahead, which a causal model cannot; "
            "set it to ''"
        )
    if not joints:
        return None
    from_video = config.encoder.name != POSE and config.auxiliary
    return MechanicsPrior(
        joints=joints,
        frame_rate=frame_rate,
        rate=config.pose_network.rate,
        emg_rate=emg_rate,
        # Where the model predicts the pose from video, it predicts load and place too, and nothing
        # but the traits tells the height.
        inputs=("held", "load" if from_video else "height", *config.extra_inputs),
        **settings,
    )


def _check_encoder(config: Config, encoder: Encoder, frames: int, size: int) -> None:
    if frames % encoder.stride:
        raise UserError(
            f"config.data: a window of {frames} frames is not a whole number of tokens of "
            f"{encoder.stride} frames"
        )
    if size % encoder.granularity:
        raise UserError(
            f"config.data.size: {size} px is not a multiple of {encoder.granularity} px, as "
            f"config.model.encoder ({config.encoder.name}) needs"
        )


def _check_causal(config: Config, encoder: Encoder | None, frames: int, frame_rate: float) -> None:
    if config.causal and encoder is not None and not encoder.causal:
        raise UserError(
            f"config.model.causal: the encoder {config.encoder.name} looks ahead; use cnn, vit, or "
            "tubelet with stride 1"
        )
    if config.causal and (config.pose_network.rate % frame_rate):
        raise UserError(
            f"config.model.pose_network.rate: {config.pose_network.rate:g} Hz must be a multiple "
            f"of config.data.frame_rate {frame_rate:g} Hz in a causal model, so that every frame "
            "of a live video is treated alike"
        )
    delay = config.lookahead_s * frame_rate  # frames
    valid = config.causal and abs(delay - round(delay)) < 1e-6 and 0 < delay < frames
    if config.lookahead_s and not valid:
        raise UserError(
            f"config.model.lookahead_s: {config.lookahead_s:g} s; only a causal model can be "
            f"delayed, by whole frames ({frame_rate:g} Hz) and by less than a window"
        )


def _check_inputs(config: Config, extra_inputs: tuple[str, ...], encoder: Encoder | None) -> None:
    known = list(vocabulary.INPUTS)
    if encoder is None:
        known.remove(POSE)  # the model's own input
    for name in extra_inputs:
        if name not in known or extra_inputs.count(name) > 1:
            raise UserError(f"config.model.extra_inputs: {extra_inputs} is not a choice of {known}")
        if config.causal and name not in auxiliary.CONSTANT_INPUTS:
            raise UserError(
                f"config.model.extra_inputs: a causal model cannot use {name}, which is known only "
                "at the end of the window"
            )


def _check_rate(config: Config, frames: int, frame_rate: float, emg_rate: float) -> None:
    if emg_rate % frame_rate:
        raise UserError(
            f"config.data: emg_rate {emg_rate:g} Hz must be a multiple of frame_rate "
            f"{frame_rate:g} Hz"
        )
    rate = config.pose_network.rate
    samples, instants = emg_rate / rate, frames * rate / frame_rate
    if samples != round(samples) or abs(instants - round(instants)) > 1e-6:
        raise UserError(
            f"config.model.pose_network.rate: {rate:g} Hz must divide config.data.emg_rate "
            f"{emg_rate:g} Hz, and give the window a whole number of instants"
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
