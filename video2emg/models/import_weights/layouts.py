r"""The layouts of published files: which tensor becomes which of our parameters.

A rule has a regular expression for the whole name of a tensor, the path of our parameter with `\1`
for the groups of the expression (None: the tensor is known and not used), and a transform of the
axes. Several rules may match one tensor.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Transform:
    """How a tensor becomes our parameter.

    Attributes:
      function: applied to the tensor.
      split: whether axes are then split into several, as our shape has them (width into heads,
        positions into rows and columns); otherwise the shapes must be equal.
    """

    function: Callable[[np.ndarray], np.ndarray] = lambda w: w
    split: bool = False


def _third(part: int) -> Transform:
    """One of PyTorch's fused query, key and value."""
    return Transform(lambda w: np.split(w, 3)[part].T, split=True)


TRANSFORMS: dict[str, Transform] = {
    "as_is": Transform(),
    "split": Transform(split=True),
    "squeeze": Transform(np.squeeze),
    "plus_one": Transform(lambda w: w + 1),  # scales that are stored minus one
    "dense": Transform(lambda w: w.T),
    "dense_of_conv": Transform(lambda w: w.reshape(w.shape[:2]).T),
    "conv1d": Transform(lambda w: w.transpose(2, 1, 0)),
    "conv2d": Transform(lambda w: w.transpose(2, 3, 1, 0)),
    "conv3d": Transform(lambda w: w.transpose(2, 3, 4, 1, 0)),
    "patch2d": Transform(lambda w: w.transpose(2, 3, 1, 0).reshape(-1, len(w))),
    "patch3d": Transform(lambda w: w.transpose(2, 3, 4, 1, 0).reshape(-1, len(w))),
    # MIA's (joints × 9) kernel over one channel equals a temporal kernel over the joints.
    "joints_by_time": Transform(lambda w: w[:, 0].transpose(2, 1, 0)),
    "into_heads": Transform(lambda w: w.T, split=True),  # [N·H, D] → [D, N, H], [N·H] → [N, H]
    "out_of_heads": Transform(lambda w: w.T, split=True),  # [D, N·H] → [N, H, D]
    "out_first": Transform(lambda w: w.transpose(1, 2, 0)),  # [D, N, H] → [N, H, D]
    "positions": Transform(lambda w: w[0, 1:], split=True),  # of [1, 1 + cells, D]
    "class_position": Transform(lambda w: w[0, 0]),
    "grouped": Transform(lambda w: w[..., 0], split=True),  # [N·E, D, 1] → [N, E, D]
    **{f"third_{i}": _third(i) for i in range(3)},
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of a layout.

    Attributes:
      pattern: regular expression for the whole name of the tensor.
      target: path of our parameter, with `/` between names; None if the tensor is not used.
      transform: a key of `TRANSFORMS`.
    """

    pattern: str
    target: str | None
    transform: str = "as_is"

    def __post_init__(self) -> None:
        re.compile(self.pattern)
        if self.transform not in TRANSFORMS:
            raise ValueError(
                f"{self.pattern}: {self.transform!r} is not one of {sorted(TRANSFORMS)}"
            )


_QKV = ("query", "key", "value")


def _norm(source: str, target: str) -> list[Rule]:
    """A PyTorch batch norm."""
    return [
        Rule(rf"{source}\.weight", f"{target}/scale"),
        Rule(rf"{source}\.bias", f"{target}/bias"),
        Rule(rf"{source}\.running_mean", f"{target}/mean"),
        Rule(rf"{source}\.running_var", f"{target}/var"),
        Rule(rf"{source}\.num_batches_tracked", None),
    ]


def _layer_norm(source: str, target: str) -> list[Rule]:
    return [
        Rule(rf"{source}\.weight", f"{target}/scale"),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]


def _dense(source: str, target: str, kernel: str = "dense", bias: str = "as_is") -> list[Rule]:
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel", kernel),
        Rule(rf"{source}\.bias", f"{target}/bias", bias),
    ]


def _i3d(names: dict[str, str], conv: str, norm: str) -> list[Rule]:
    """Units of I3D: their name → ours."""
    rules: list[Rule] = []
    for source, target in names.items():
        rules.append(Rule(rf"{source}\.{conv}\.weight", f"{target}/conv/kernel", "conv3d"))
        rules += _norm(rf"{source}\.{norm}", f"{target}/norm")
    return rules


# The PyTorch port whose weights CoRe, FLEX and most AQA code use (`model_rgb.pth`).
_I3D_SNAKE = _i3d(
    {
        r"conv3d_(1a|2b|2c)_\dx\d": r"conv_\1",
        r"(mixed_\d[b-f])\.branch_0": r"\1_0",
        r"(mixed_\d[b-f])\.branch_([12])\.0": r"\1_\2a",
        r"(mixed_\d[b-f])\.branch_([12])\.1": r"\1_\2b",
        r"(mixed_\d[b-f])\.branch_3\.1": r"\1_3b",
    },
    "conv3d",
    "batch3d",
)
# The PyTorch port with TensorFlow's layer names (`rgb_imagenet.pt`); MUSDL uses it.
_I3D_CAPITAL = _i3d(
    {
        r"Conv3d_(1a|2b|2c)_\dx\d": r"conv_\1",
        r"Mixed_(\d[b-f])\.b0": r"mixed_\1_0",
        r"Mixed_(\d[b-f])\.b([12][ab])": r"mixed_\1_\2",
        r"Mixed_(\d[b-f])\.b3b": r"mixed_\1_3b",
    },
    "conv3d",
    "bn",
)
_I3D_HEAD = r"(?:conv3d_0c_1x1|logits)\.conv3d\..*"

_STGCN = [
    Rule(r"A", None),
    *_norm("data_bn", "norm"),
    Rule(r"edge_importance\.(\d+)", r"layer_\1/importance"),
    *_dense(r"st_gcn_networks\.(\d+)\.gcn\.conv", r"layer_\1/joints", "dense_of_conv"),
    *_norm(r"st_gcn_networks\.(\d+)\.tcn\.0", r"layer_\1/joints_norm"),
    *_dense(r"st_gcn_networks\.(\d+)\.tcn\.2", r"layer_\1/time", "conv2d"),
    *_norm(r"st_gcn_networks\.(\d+)\.tcn\.3", r"layer_\1/time_norm"),
    *_dense(r"st_gcn_networks\.(\d+)\.residual\.0", r"layer_\1/skip", "dense_of_conv"),
    *_norm(r"st_gcn_networks\.(\d+)\.residual\.1", r"layer_\1/skip_norm"),
    Rule(r"fcn\..*", None),
]

_MIA_LAYER = r"transformer0\.layers\.(\d+)"
_MIA = [
    Rule(r"conv1\.weight", "embed/kernel", "joints_by_time"),
    Rule(r"conv1\.bias", "embed/bias"),
    *(
        Rule(
            rf"{_MIA_LAYER}\.self_attn\.in_proj_{what}",
            rf"layer_\1/attention/{name}/{ours}",
            f"third_{i}",
        )
        for i, name in enumerate(_QKV)
        for what, ours in (("weight", "kernel"), ("bias", "bias"))
    ),
    *_dense(rf"{_MIA_LAYER}\.self_attn\.out_proj", r"layer_\1/attention/out", "out_of_heads"),
    *_dense(rf"{_MIA_LAYER}\.linear1", r"layer_\1/hidden"),
    *_dense(rf"{_MIA_LAYER}\.linear2", r"layer_\1/mlp_out"),
    *_layer_norm(rf"{_MIA_LAYER}\.norm1", r"layer_\1/attention_norm"),
    *_layer_norm(rf"{_MIA_LAYER}\.norm2", r"layer_\1/mlp_norm"),
    *_dense("out0", "out"),
    # Created by the constructor and never used.
    Rule(r"(?:jointdim|bn|encoder_layer|positional_encoder)\..*", None),
]

_CORE_NODES = {
    r"clf_layers\.(\d+)": r"turn_\1",
    r"feature_layers\.(\d+)\.0": r"grow_\1",
    "reg_layer": "position",
}
_CORE = [
    *_dense(r"first_layer\.0", "first"),
    *(Rule(rf"{a}\.weight", f"{b}_kernel", "grouped") for a, b in _CORE_NODES.items()),
    *(Rule(rf"{a}\.bias", f"{b}_bias", "split") for a, b in _CORE_NODES.items()),
]
_USDL = [
    *_dense(r"evaluator\.layer1", "layer_0"),
    *_dense(r"evaluator\.layer2", "layer_1"),
    *_dense(r"evaluator\.layer3", "out"),
]

_TDS_AT = r"network\.layers\.(\d+)"
_TDS_BLOCK = rf"{_TDS_AT}\.layers\.tds_block\.tds_conv_blocks\.(\d+)"
_TDS = [
    *_dense(rf"{_TDS_AT}(?:\.layers\.conv1dblock)?\.conv\.0", r"stage_\1/embed", "conv1d"),
    *_layer_norm(rf"{_TDS_AT}(?:\.layers\.conv1dblock)?\.norm", r"stage_\1/embed_norm"),
    *_dense(rf"{_TDS_BLOCK}\.conv2d", r"stage_\1/block_\2/time", "conv2d"),
    *_dense(rf"{_TDS_BLOCK}\.fc_block\.0", r"stage_\1/block_\2/hidden"),
    *_dense(rf"{_TDS_BLOCK}\.fc_block\.2", r"stage_\1/block_\2/mlp_out"),
    *_layer_norm(rf"{_TDS_BLOCK}\.layer_norm", r"stage_\1/block_\2/norm"),
    *_dense(rf"{_TDS_AT}\.linear_layer", r"stage_\1/out"),
    *_dense(r"decoder\.mlp\.(\d+)", r"decoder_\1"),
    Rule(r"output_scale", "output_scale"),  # not in the files of the originals, where it is fixed
]


def _hugging_face(prefix: str, layer: str) -> list[Rule]:
    """Layers named as in Hugging Face's files of ViT and VideoMAE."""
    at = rf"(?:{prefix}\.)?{layer}\.(\d+)"
    attention = [
        rule
        for name in _QKV
        for rule in _dense(
            rf"{at}\.attention\.attention\.{name}", rf"layer_\1/{name}", "into_heads", "into_heads"
        )
    ]
    # Modules of transformers 5 are called so; its files keep the names above.
    renamed = rf"(?:{prefix}\.)?layers\.(\d+)"
    attention += [
        rule
        for letter, name in zip("qkv", _QKV, strict=True)
        for rule in _dense(
            rf"{renamed}\.attention\.{letter}_proj", rf"layer_\1/{name}", "into_heads", "into_heads"
        )
    ]
    return [
        *attention,
        *_dense(rf"{renamed}\.attention\.o_proj", r"layer_\1/out", "out_of_heads"),
        *_dense(rf"{renamed}\.mlp\.fc1", r"layer_\1/hidden"),
        *_dense(rf"{renamed}\.mlp\.fc2", r"layer_\1/mlp_out"),
        *_layer_norm(rf"{renamed}\.layernorm_before", r"layer_\1/attention_norm"),
        *_layer_norm(rf"{renamed}\.layernorm_after", r"layer_\1/mlp_norm"),
        *_dense(rf"{at}\.attention\.output\.dense", r"layer_\1/out", "out_of_heads"),
        *_dense(rf"{at}\.intermediate\.dense", r"layer_\1/hidden"),
        *_dense(rf"{at}\.output\.dense", r"layer_\1/mlp_out"),
        *_layer_norm(rf"{at}\.layernorm_before", r"layer_\1/attention_norm"),
        *_layer_norm(rf"{at}\.layernorm_after", r"layer_\1/mlp_norm"),
        *_layer_norm(rf"(?:{prefix}\.)?layernorm", "norm"),
    ]


_PATCH = r"embeddings\.patch_embeddings\.projection"
_VIDEOMAE = [
    *_dense(rf"(?:videomae\.)?{_PATCH}", "embed", "patch3d"),
    *_hugging_face("videomae", r"encoder\.layer"),
    # Some files name the query and value biases as the authors' code does.
    *(
        Rule(
            rf"(?:videomae\.)?encoder\.layer\.(\d+)\.attention\.attention\.{letter}_bias",
            rf"layer_\1/{name}/bias",
            "into_heads",
        )
        for letter, name in (("q", "query"), ("v", "value"))
    ),
    # Heads for classification and for pretraining.
    Rule(r"(?:fc_norm|classifier|decoder|encoder_to_decoder)\..*", None),
    Rule(r"mask_token|(?:videomae\.embeddings\.)?position_embeddings", None),
]
_VIT = [
    *_dense(rf"(?:vit\.)?{_PATCH}", "embed", "patch2d"),
    Rule(r"(?:vit\.)?embeddings\.cls_token", "class_token", "squeeze"),
    Rule(r"(?:vit\.)?embeddings\.position_embeddings", "position", "positions"),
    Rule(r"(?:vit\.)?embeddings\.position_embeddings", "class_position", "class_position"),
    *_hugging_face("vit", r"encoder\.layer"),
    Rule(r"(?:vit\.)?(?:pooler|classifier)\..*|(?:vit\.)?embeddings\.mask_token", None),
]


def _videoprism_stack(source: str, target: str) -> list[Rule]:
    """One of VideoPrism's two stacks of layers, after `unstack`."""
    at = rf"params/{source}_encoder/transformers_stack/x_layers_(\d+)"
    ours = rf"{target}_\1"
    rules = [
        Rule(rf"{at}/self_attention/{name}/{theirs}", f"{ours}/{name}/{our_name}")
        for name in _QKV
        for theirs, our_name in (("w", "kernel"), ("b", "bias"))
    ]
    rules += [
        Rule(rf"{at}/self_attention/post/w", f"{ours}/out/kernel", "out_first"),
        Rule(rf"{at}/self_attention/post/b", f"{ours}/out/bias"),
    ]
    for theirs, name in (("ffn_layer1", "hidden"), ("ffn_layer2", "mlp_out")):
        rules += [
            Rule(rf"{at}/ff_layer/{theirs}/linear/{leaf}", f"{ours}/{name}/{leaf}")
            for leaf in ("kernel", "bias")
        ]
    norms = (
        (rf"{at}/layer_norm", f"{ours}/attention_norm"),
        (rf"{at}/ff_layer/layer_norm", f"{ours}/mlp_norm"),
        (rf"params/{source}_ln", f"{target}_norm"),
    )
    for theirs, name in norms:
        rules += [
            Rule(f"{theirs}/scale", f"{name}/scale", "plus_one"),
            Rule(f"{theirs}/bias", f"{name}/bias"),
        ]
    return rules


_VIDEOPRISM = [
    Rule(r"params/patch_projection/linear/(kernel|bias)", r"embed/\1"),
    Rule(r"params/spatial_pos_emb/emb_var", "spatial_position", "split"),
    Rule(r"params/temporal_pos_emb/emb_var", "temporal_position"),
    *_videoprism_stack("spatial", "spatial"),
    *_videoprism_stack("temporal", "temporal"),
]


def unstack(tensors: Tensors) -> Tensors:
    """Splits layers that `nn.scan` stacked along the first axis."""
    separate: Tensors = {}
    for name, value in tensors.items():
        before, stacked, after = name.partition("/x_layers/")
        if not stacked:
            separate[name] = value
            continue
        for i, part in enumerate(value):
            separate[f"{before}/x_layers_{i}/{after}"] = part
    return separate


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one type of file is read.

    Attributes:
      rules: see `Rule`.
      prepare: applied to all tensors first.
    """

    rules: Sequence[Rule]
    prepare: Callable[[Tensors], Tensors] = lambda tensors: tensors


LAYOUTS: dict[str, Layout] = {
    "i3d": Layout([*_I3D_SNAKE, *_I3D_CAPITAL, Rule(_I3D_HEAD, None)]),
    "stgcn": Layout(_STGCN),
    "mia": Layout(_MIA),
    "core": Layout(_CORE),
    "usdl": Layout(_USDL),
    "tds": Layout(_TDS),
    "videomae": Layout(_VIDEOMAE),
    "vit": Layout(_VIT),
    "videoprism": Layout(_VIDEOPRISM, unstack),
}
