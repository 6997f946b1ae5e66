"""The published models in PyTorch, with the names of their state dicts."""

import math

import torch
from torch import nn
from torch.nn import functional as F

MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
POOL_BEFORE = {
    "3b": ((1, 3, 3), (1, 2, 2)),
    "4b": ((3, 3, 3), (2, 2, 2)),
    "5b": ((2, 2, 2), (2, 2, 2)),
}


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws every parameter and statistic, so that no layer is an identity; sets eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point() and name != "A":
                fan_in = value[0].numel() if value.ndim > 1 else 25
                value.normal_(0, fan_in**-0.5, generator=generator)
    return module.eval()


def same(x: torch.Tensor, window, strides, value: float = 0.0) -> torch.Tensor:
    """Pads [.., T, H, W] as TensorFlow's `SAME` does, for windows no shorter than strides."""
    pads = []
    for size, k, s in zip(x.shape[-3:], window, strides, strict=True):
        total = max((math.ceil(size / s) - 1) * s + k - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads, value=value)


def pool(x: torch.Tensor, window, strides) -> torch.Tensor:
    return F.max_pool3d(same(x, window, strides, -torch.inf), window, strides)


class Unit(nn.Module):
    def __init__(self, inputs, outputs, k=1, stride=1, epsilon=1e-3):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, k, stride, bias=False)
        self.batch3d = nn.BatchNorm3d(outputs, eps=epsilon)

    def forward(self, x):
        x = same(x, self.conv3d.kernel_size, self.conv3d.stride)
        return F.relu(self.batch3d(self.conv3d(x)))


class Pool(nn.Module):
    def forward(self, x):
        return pool(x, (3, 3, 3), (1, 1, 1))


class Mixed(nn.Module):
    def __init__(self, inputs, widths):
        super().__init__()
        a, b0, b1, c0, c1, d = widths
        self.branch_0 = Unit(inputs, a)
        self.branch_1 = nn.Sequential(Unit(inputs, b0), Unit(b0, b1, 3))
        self.branch_2 = nn.Sequential(Unit(inputs, c0), Unit(c0, c1, 3))
        self.branch_3 = nn.Sequential(Pool(), Unit(inputs, d))

    def forward(self, x):
        return torch.cat(
            [f(x) for f in (self.branch_0, self.branch_1, self.branch_2, self.branch_3)], 1
        )


class TorchI3D(nn.Module):
    """With the names of the port that CoRe and FLEX use."""

    def __init__(self, narrow=1, classes=400, last="5c"):
        super().__init__()
        self.conv3d_1a_7x7 = Unit(3, 64 // narrow, 7, 2)
        self.conv3d_2b_1x1 = Unit(64 // narrow, 64 // narrow)
        self.conv3d_2c_3x3 = Unit(64 // narrow, 192 // narrow, 3)
        width = 192 // narrow
        self.blocks = list(MIXED)[: list(MIXED).index(last) + 1]
        for name in self.blocks:
            widths = MIXED[name]
            widths = tuple(w // narrow for w in widths)
            self.add_module(f"mixed_{name}", Mixed(width, widths))
            width = widths[0] + widths[2] + widths[4] + widths[5]
        self.conv3d_0c_1x1 = nn.Module()
        self.conv3d_0c_1x1.conv3d = nn.Conv3d(width, classes, 1)

    def features(self, x):
        x = pool(self.conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = self.conv3d_2c_3x3(self.conv3d_2b_1x1(x))
        for name in self.blocks:
            if name in POOL_BEFORE:
                x = pool(x, *POOL_BEFORE[name])
            x = getattr(self, f"mixed_{name}")(x)
        return x


class GCNLayer(nn.Module):
    def __init__(self, inputs, outputs, k, stride, shortcut):
        super().__init__()
        self.gcn = nn.Module()
        self.gcn.conv = nn.Conv2d(inputs, outputs * k, 1)
        time = nn.Conv2d(outputs, outputs, (9, 1), (stride, 1), (4, 0))
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(outputs), nn.ReLU(), time, nn.BatchNorm2d(outputs), nn.Dropout(0)
        )
        self.shortcut = shortcut
        self.residual = None
        if shortcut and (inputs, stride) != (outputs, 1):
            skip = nn.Conv2d(inputs, outputs, 1, (stride, 1))
            self.residual = nn.Sequential(skip, nn.BatchNorm2d(outputs))

    def forward(self, x, graph):
        n, _, t, v = x.shape
        y = self.gcn.conv(x).view(n, len(graph), -1, t, v)
        y = self.tcn(sum(y[:, k] @ graph[k] for k in range(len(graph))))
        if self.residual is not None:
            y = y + self.residual(x)
        elif self.shortcut:
            y = y + x
        return F.relu(y)


class TorchSTGCN(nn.Module):
    def __init__(self, graph, widths, strides, classes=60):
        super().__init__()
        self.register_buffer("A", torch.tensor(graph))
        self.data_bn = nn.BatchNorm1d(3 * graph.shape[-1])
        inputs = (3, *widths)
        self.st_gcn_networks = nn.ModuleList(
            GCNLayer(inputs[i], widths[i], len(graph), strides[i], i > 0)
            for i in range(len(widths))
        )
        self.edge_importance = nn.ParameterList(
            nn.Parameter(torch.ones(graph.shape)) for _ in widths
        )
        self.fcn = nn.Conv2d(widths[-1], classes, 1)

    def features(self, pose):
        """Pose [N, T, V, 3] → [N, C, T', V]."""
        n, t, v, c = pose.shape
        x = self.data_bn(pose.reshape(n, t, v * c).transpose(1, 2))
        x = x.view(n, v, c, t).permute(0, 2, 3, 1)
        for layer, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = layer(x, self.A * importance)
        return x


class TorchMIA(nn.Module):
    """Joints × time as an image with one channel, as MIA's code has it."""

    def __init__(self, inputs, outputs, layers=2, heads=4, hidden=32):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 126, (inputs, 9), padding=(0, 4))
        self.bn = nn.BatchNorm1d(128)  # made, never used
        layer = nn.TransformerEncoderLayer(128, heads, hidden)
        self.encoder_layer = layer
        self.transformer0 = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out0 = nn.Linear(128, outputs)

    def forward(self, x, code):
        """[B, T, inputs], [B] → [B, T, outputs]."""
        b, t, _ = x.shape
        x = self.conv1((x * math.sqrt(128)).transpose(1, 2)[:, None])[:, :, 0].transpose(1, 2)
        place = torch.arange(t)[:, None]
        rate = torch.exp(torch.arange(0, 126, 2) * (-math.log(10000.0) / 126))
        encoding = torch.zeros(t, 126)
        encoding[:, 0::2], encoding[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
        x = torch.cat([x + encoding, code.view(b, 1, 1).expand(b, t, 2)], 2)
        return self.out0(self.transformer0(x.transpose(0, 1))).transpose(0, 1)


class TorchTree(nn.Module):
    """CoRe's tree with the names of its state dict."""

    def __init__(self, inputs, hidden, depth):
        super().__init__()
        levels = [2**d for d in range(depth - 1)]
        self.first_layer = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.feature_layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n * hidden, 2 * n * hidden, 1, groups=n), nn.ReLU())
            for n in levels
        )
        self.clf_layers = nn.ModuleList(nn.Conv1d(n * hidden, 2 * n, 1, groups=n) for n in levels)
        leaves = 2 ** (depth - 1)
        self.reg_layer = nn.Conv1d(leaves * hidden, leaves, 1, groups=leaves)

    def forward(self, x):
        x = self.first_layer(x)[..., None]
        so_far = torch.zeros(len(x), 1)
        for grow, turn in zip(self.feature_layers, self.clf_layers, strict=True):
            step = turn(x).view(len(x), -1, 2).log_softmax(-1)
            so_far = (so_far[..., None] + step).flatten(1)
            x = grow(x)
        return so_far, self.reg_layer(x)[..., 0]


class TorchMLP(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(inputs, 256), nn.Linear(256, 128)
        self.layer3 = nn.Linear(128, outputs)

    def forward(self, x):
        return self.layer3(F.relu(self.layer2(F.relu(self.layer1(x)))))


class TorchUSDL(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.evaluator = TorchMLP(inputs, outputs)

    def forward(self, x):
        return self.evaluator(x)


class TorchEmbed(nn.Module):
    def __init__(self, inputs, outputs, window, stride):
        super().__init__()
        conv = nn.Conv1d(inputs, outputs, window, stride)
        self.conv, self.norm = nn.Sequential(conv, nn.ReLU()), nn.LayerNorm(outputs)

    def forward(self, x):
        return self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)


class TorchTime(nn.Module):
    def __init__(self, channels, width, window):
        super().__init__()
        self.conv2d = nn.Conv2d(channels, channels, (1, window))
        self.layer_norm, self.channels = nn.LayerNorm(channels * width), channels

    def forward(self, x):
        b, c, t = x.shape
        y = F.relu(self.conv2d(x.reshape(b, self.channels, -1, t))).reshape(b, c, -1)
        y = y + x[..., -y.shape[-1] :]  # the newest samples
        return self.layer_norm(y.transpose(1, 2)).transpose(1, 2)


class TorchDense(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc_block = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x):
        x = x.transpose(1, 2)
        return self.layer_norm(self.fc_block(x) + x).transpose(1, 2)


class TorchStage(nn.Module):
    def __init__(self, inputs, channels, width, blocks, window, embed, stride=1, outputs=0):
        super().__init__()
        parts = []
        for _ in range(blocks):
            parts += [TorchTime(channels, width, window), TorchDense(channels * width)]
        self.layers = nn.Module()
        self.layers.conv1dblock = TorchEmbed(inputs, channels * width, embed, stride)
        self.layers.tds_block = nn.Module()
        self.layers.tds_block.tds_conv_blocks = nn.Sequential(*parts)
        if outputs:
            self.linear_layer = nn.Linear(channels * width, outputs)

    def forward(self, x):
        x = self.layers.tds_block.tds_conv_blocks(self.layers.conv1dblock(x))
        if hasattr(self, "linear_layer"):
            x = self.linear_layer(x.transpose(1, 2)).transpose(1, 2)
        return x


class TorchTDS(nn.Module):
    def __init__(self, inputs, stages, samples, hidden, outputs):
        super().__init__()
        self.network, self.decoder, self.samples = nn.Module(), nn.Module(), samples
        built, width = [], inputs
        for settings in stages:
            built.append(TorchStage(width, **settings))
            width = settings.get("outputs") or settings["channels"] * settings["width"]
        self.network.layers = nn.Sequential(*built)
        self.decoder.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.LeakyReLU(), nn.Linear(hidden, outputs)
        )
        self.output_scale = nn.Parameter(torch.tensor(0.3))

    def forward(self, x, context=0):
        """The output from frame `context` on, of which the network has seen the past."""
        y = self.network.layers(x.transpose(1, 2))
        count = (x.shape[1] - context) * self.samples
        y = F.interpolate(y, count, mode="linear", align_corners=True)
        return self.decoder.mlp(y.transpose(1, 2)) * self.output_scale
