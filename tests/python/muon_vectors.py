"""Makes tests/vectors/muon.json: steps of PyTorch's `torch.optim.Muon` (2.9 or later) on a few matrices.

    python tests/python/muon_vectors.py > tests/vectors/muon.json

PyTorch orthogonalises in bfloat16. Here `Tensor.to(torch.bfloat16)` leaves a tensor as it is, so that everything is computed
in float64, by PyTorch's code.
"""

import json

import numpy as np
import torch


def numbers(tensor):
    """The shortest decimals that are these f32 numbers."""
    values = tensor.detach().as_subclass(torch.Tensor).to(torch.float32).ravel().numpy()
    return [float(np.format_float_scientific(value)) for value in values]


class Exact(torch.Tensor):
    """A tensor that stays in float64."""

    def to(self, *args, **kwargs):
        kwargs.pop("dtype", None)
        return super().to(*[arg for arg in args if arg is not torch.bfloat16], dtype=torch.float64, **kwargs)


def case(name, shape, lr, momentum, weight_decay, steps, spectrum):
    generator = torch.Generator().manual_seed(len(name) + shape[0])
    normal = lambda *size: torch.randn(*size, generator=generator, dtype=torch.float64)
    gradients = []
    for _ in range(steps):
        small = min(shape)
        gradient = normal(shape[0], small) * spectrum(torch.arange(small, dtype=torch.float64)) @ normal(small, shape[1])
        gradients.append(gradient.to(torch.float32))
    start = (0.02 * normal(*shape)).to(torch.float32)
    parameter = torch.nn.Parameter(start.to(torch.float64).clone())
    optimiser = torch.optim.Muon(
        [parameter], lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    after = []
    for gradient in gradients:
        parameter.grad = gradient.to(torch.float64).as_subclass(Exact)
        optimiser.step()
        after.append(numbers(parameter))
    return {
        "name": name,
        "shape": shape,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "start": numbers(start),
        "gradients": [numbers(gradient) for gradient in gradients],
        "after": after,
    }


flat = lambda k: torch.ones_like(k)
falling = lambda k: 10.0 ** (-k / 8)
print(
    json.dumps(
        [
            case("square", [16, 16], 0.02, 0.95, 0.1, 3, flat),
            case("wide", [8, 28], 0.016, 0.95, 0.02, 3, flat),
            case("tall", [28, 8], 0.016, 0.9, 0.0, 3, flat),
            case("falling", [12, 20], 0.01, 0.95, 0.02, 2, falling),
        ]
    )
)
