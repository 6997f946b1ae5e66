"""Configuration → module."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from video2emg.core import vocabulary
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models import encoders, fusion
from video2emg.models.blocks import REMAT
from video2emg.models.published import pose_to_emg
from video2emg.models.published.i3d import I3D
from video2emg.models.published.videoprism import VideoPrism
from video2emg.models.published.vit import VideoMAE, ViT
from video2emg.models.video2emg import Video2EMG

CAUSAL = ("cnn", "tubelet")  # encoders that look at no other instant, or can be told not to
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
      UserError: an unknown encoder, or rates or sizes that do not divide.
    """
    if config.get("system"):
        return _system(config.system, emg_rate / frame_rate)
    remat = config.encoder.get("remat", "none")
    if remat not in REMAT:
        raise UserError(f"config.model.encoder.remat: {remat!r} is not one of {sorted(REMAT)}")
    # Runs from before there were causal models do not say that they are none.
    causal = config.get("causal", False)
    encoder = _encoder(config, frame_rate)
    if causal and (config.encoder.name not in CAUSAL or encoder.stride > 1):
        raise UserError(f"config.model.causal: needs the encoder {' or '.join(CAUSAL)} with stride "
                        f"1; {config.encoder.name} looks ahead")  # fmt: skip
    lookahead = config.get("lookahead_s", 0.0)
    late = lookahead * frame_rate  # frames
    if lookahead and not (causal and abs(late - round(late)) < 1e-6 and 0 < late < frames):
        raise UserError(f"config.model.lookahead_s: {lookahead:g} s; only a causal model is late, "
                        f"by whole frames ({frame_rate:g} Hz) and less than a window")  # fmt: skip
    if causal and config.get("pose_refinement_layers", 0):
        raise UserError(
            "config.model.pose_refinement_layers: must be 0 for a causal model; the velocity of a "
            "joint is known only after the next frame"
        )
    if config.get("moment_arms", False) and dofs not in (0, len(vocabulary.DOFS)):
        raise UserError("config.model.moment_arms: the dataset has other names for its torques; "
                        "try config.data.torque=static")  # fmt: skip
    extra = _extra_inputs(config, encoder, causal)
    per_token = encoder.stride * emg_rate / frame_rate
    if per_token != round(per_token) or frames % encoder.stride:
        raise UserError(
            f"config.data: emg_rate {emg_rate:g} Hz must be a multiple of frame_rate "
            f"{frame_rate:g} Hz / {encoder.stride}, and the window a whole number of tokens"
        )
    if size % encoder.granularity:
        raise UserError(
            f"config.data.size: {size} px is not a multiple of {encoder.granularity} px, as "
            f"config.model.encoder ({config.encoder.name}) needs"
        )
    sees_pose = isinstance(encoder, encoders.PoseMLP) or "pose" in extra
    return Video2EMG(
        encoder=encoder,
        dim=config.dim,
        heads=config.heads,
        layers=config.layers,
        decoder_layers=config.decoder_layers,
        frame_rate=frame_rate,
        emg_rate=emg_rate,
        # What is given need not be predicted.
        joints=joints if config.auxiliary and not sees_pose else 0,
        dofs=dofs if config.auxiliary else 0,
        load="load" not in extra,
        predicted_mae=config.get("predicted_mae", False),
        dropout=config.dropout,
        causal=causal,
        lookahead_s=lookahead,
        extra_inputs=extra,
        fusion=config.get("fusion", "joint"),
        bottlenecks=config.get("bottlenecks", 4),
        view_embedding=config.get("view_embedding", True),
        moment_arms=bool(dofs) and config.get("moment_arms", False),
        pose_refinement_layers=config.get("pose_refinement_layers", 0),
        teacher_forcing=config.get("teacher_forcing", 0.0),
        dtype=jnp.dtype(config.dtype),
    )


def _extra_inputs(config: Config, encoder: nn.Module, causal: bool) -> tuple[str, ...]:
    """What is given beside frames, once it is known to make sense."""
    extra = tuple(config.get("extra_inputs", ()))
    known = [name for name in vocabulary.INPUTS if not isinstance(encoder, encoders.PoseMLP) or
             name != "pose"]  # fmt: skip
    for name in extra:
        if name not in known or extra.count(name) > 1:
            raise UserError(f"config.model.extra_inputs: {extra} is not a choice of {known}")
        if causal and name not in fusion.OF_ALL_TIMES:
            raise UserError(f"config.model.extra_inputs: {name} of a whole window is not known to "
                            "a causal model while it lasts")  # fmt: skip
    mode = config.get("fusion", "joint")
    if mode not in fusion.MODES:
        raise UserError(f"config.model.fusion: {mode!r} is not one of {', '.join(fusion.MODES)}")
    if causal and mode != "joint":
        raise UserError("config.model.causal: needs config.model.fusion=joint")
    return extra


def token_rate(config: Config, frame_rate: float) -> float:
    """Tokens per second (Hz) of one view in the model that `config` (`config.model`) describes."""
    return frame_rate if config.get("system") else frame_rate / _encoder(config, frame_rate).stride


def _encoder(config: Config, frame_rate: float) -> nn.Module:
    if config.encoder.name not in ENCODERS:
        raise UserError(f"config.model.encoder.name: {config.encoder.name!r} is not one of "
                        f"{sorted(ENCODERS)}")  # fmt: skip
    kind = ENCODERS[config.encoder.name]
    # Each takes the settings it knows, so that the name alone can be changed.
    known = {field.name for field in dataclasses.fields(kind)} - {"name", "parent"}
    settings = {
        **config.encoder,
        "frame_rate": frame_rate,
        "dtype": jnp.dtype(config.dtype),
        "causal": config.get("causal", False),
    }
    return kind(**{name: value for name, value in settings.items() if name in known})


def _system(config: Config, samples: float) -> nn.Module:
    """A pose → EMG system of others, on the poses that the data has."""
    if config.name not in pose_to_emg.NAMES:
        raise UserError(f"config.model.system.name: {config.name!r} is not one of "
                        f"{', '.join(pose_to_emg.NAMES)}")  # fmt: skip
    if samples != round(samples):
        raise UserError("config.data: emg_rate must be a multiple of frame_rate")
    settings = {name: value for name, value in config.items() if name != "name"}
    return pose_to_emg.PoseToEMG(config.name, round(samples), settings)
