"""Small restatements in PyTorch of the published models, with the names of their state dicts."""

import math

import torch
from torch import nn
from torch.nn import functional as F

MIXED = {
    "3b": (64, 96, 128, 16, 32, 32), "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64), "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64), "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128), "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter and statistic drawn anew, so that no layer is an identity; eval mode."""
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
        before = {"3b": ((1, 3, 3), (1, 2, 2)), "4b": ((3, 3, 3), (2, 2, 2)),
                  "5b": ((2, 2, 2), (2, 2, 2))}  # fmt: skip
        for name in self.blocks:
            if name in before:
                x = pool(x, *before[name])
            x = getattr(self, f"mixed_{name}")(x)
        return x

    def forward(self, x):
        x = self.features(x)
        x = F.avg_pool3d(x, (min(2, x.shape[2]), *x.shape[3:]), 1)
        return self.conv3d_0c_1x1.conv3d(x)[..., 0, 0].mean(2)


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
