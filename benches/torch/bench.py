"""The work of `sim bench` in PyTorch, with the same shapes and rows for comparison.

The model is Hugging Face's Llama with scaled_dot_product_attention, under bf16 autocast on a GPU. DeMo (Peng et al.,
arXiv 2411.19870) is momentum, a DCT of 64 x 64 chunks as two matrix products, top-k per chunk, and subtraction of the
sent part. The aggregation is the sign of the decoded mean in floating point, as in the deployed system.
"""

import argparse
import math
import resource
import time

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

# Vocabulary, hidden size, layers, heads, intermediate size, sequence length.
PRESETS = {
    "nano": (256, 32, 1, 2, 96, 64),
    "tiny": (256, 64, 2, 4, 192, 64),
    "small": (256, 128, 4, 4, 448, 128),
    "base": (256, 384, 8, 6, 1024, 256),
    "medium": (256, 768, 16, 12, 2048, 512),
    "templar-1b": (32_000, 2048, 16, 8, 8192, 2048),
}
CHUNK, TOPK, DECAY = 64, 32, 0.999
PEERS, LR, BETA_FRACTION = 15, 4e-4, 0.2
WARM_UP = 2


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--micro-batch", type=int, help="sequences in a pass; default: 8 of up to 256 tokens, else 6")
    parser.add_argument("--seconds", type=float, default=2.0, help="repeat each measurement for about this long")
    parser.add_argument("--recompute", action="store_true", help="run blocks again in the backward pass, as sim does")
    parser.add_argument("--compile", action="store_true", help="compile the model with torch.compile")
    return parser.parse_args()


class Work:
    """A model and what a peer and a validator do with it."""

    def __init__(self, args):
        self.device = torch.device(args.device)
        vocabulary, hidden, layers, heads, intermediate, self.length = PRESETS[args.preset]
        self.batch = args.micro_batch or (8 if self.length <= 256 else 6)
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            intermediate_size=intermediate,
            max_position_embeddings=self.length,
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
            use_cache=False,
            attn_implementation="sdpa",
        )
        torch.manual_seed(0)
        with self.device:
            self.model = LlamaForCausalLM(config)
        if args.recompute:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            self.model.train()
        self.parameters = list(self.model.parameters())
        if args.compile:
            self.model = torch.compile(self.model)
        self.count = sum(parameter.numel() for parameter in self.parameters)
        page = torch.arange(self.length + 1).unsqueeze(0) * 17 + torch.arange(self.batch).unsqueeze(1) * 31
        self.pages = (page % vocabulary).to(self.device)
        # Counted as `sim` does: six per weight of a matrix product, twelve per attention score, masked or not.
        weights = layers * hidden * (4 * hidden + 3 * intermediate) + vocabulary * hidden
        self.flops_per_token = 6 * weights + 12 * layers * hidden * self.length
        self.bases = {}

    def loss(self):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(self.pages[:, :-1]).logits
        return F.cross_entropy(logits.float().flatten(0, 1), self.pages[:, 1:].flatten())

    def gradient(self):
        self.model.zero_grad(set_to_none=True)
        self.loss().backward()

    def basis(self, n):
        """The orthonormal DCT-II of n points: frequency, then point."""
        if n not in self.bases:
            points, frequencies = torch.arange(n, dtype=torch.float64), torch.arange(n, dtype=torch.float64)
            table = torch.cos(math.pi * frequencies.unsqueeze(1) * (2 * points + 1) / (2 * n)) * math.sqrt(2 / n)
            table[0] /= math.sqrt(2)
            self.bases[n] = table.float().to(self.device)
        return self.bases[n]

    def coefficients(self, tensor):
        height, width = sides(tensor)
        rows, columns = matrix(tensor).shape
        chunks = matrix(tensor).view(rows // height, height, columns // width, width).transpose(1, 2)
        return (self.basis(height) @ chunks @ self.basis(width).T).reshape(-1, height * width)

    def decoded(self, tensor, coefficients):
        height, width = sides(tensor)
        rows, columns = matrix(tensor).shape
        chunks = coefficients.view(rows // height, columns // width, height, width)
        chunks = self.basis(height).T @ chunks @ self.basis(width)
        return chunks.transpose(1, 2).reshape(tensor.shape)

    @torch.no_grad()
    def encode(self, momenta):
        """The coefficients that a peer sends of each tensor: indices in a chunk and values, on the host."""
        sent = []
        for parameter, momentum in zip(self.parameters, momenta):
            momentum.mul_(DECAY).add_(parameter.grad, alpha=LR)
            coefficients = self.coefficients(momentum)
            k = min(TOPK, coefficients.shape[1])
            indices = coefficients.abs().topk(k, dim=1).indices
            values = coefficients.gather(1, indices)
            momentum.sub_(self.decoded(momentum, torch.zeros_like(coefficients).scatter_(1, indices, values)))
            sent.append((indices.to(torch.int16), values))
        return [(indices.cpu(), values.cpu()) for indices, values in sent]

    @torch.no_grad()
    def signs(self, payloads):
        """The direction of the step, one tensor at a time."""
        for at, parameter in enumerate(self.parameters):
            indices = torch.cat([payload[at][0] for payload in payloads], 1).to(self.device).long()
            values = [payload[at][1] for payload in payloads]
            values = torch.cat([v / v.norm().clamp_min(1e-12) for v in values], 1).to(self.device)
            height, width = sides(parameter)
            coefficients = torch.zeros(indices.shape[0], height * width, device=self.device)
            coefficients.scatter_reduce_(1, indices, values, "mean", include_self=False)
            yield parameter, self.decoded(parameter, coefficients).sign_()

    @torch.no_grad()
    def step(self, payloads, size):
        for parameter, sign in self.signs(payloads):
            parameter.sub_(sign, alpha=size)

    @torch.no_grad()
    def evaluate(self, payload):
        """The two losses of a LossScore after a fraction of one peer's step; restores the parameters."""
        before = [parameter.clone() for parameter in self.parameters]
        self.step([payload], BETA_FRACTION * LR)
        losses = [self.loss().item() for _ in range(2)]
        for parameter, value in zip(self.parameters, before):
            parameter.copy_(value)
        return losses


def matrix(tensor):
    return tensor if tensor.dim() == 2 else tensor.unsqueeze(0)


def sides(tensor):
    """Largest divisors of a tensor's sides that a chunk may have."""
    return tuple(max(d for d in range(1, min(size, CHUNK) + 1) if size % d == 0) for size in matrix(tensor).shape)


def seconds(device, at_least, work):
    """Seconds per repetition of `work`, measured until the device has finished."""

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(WARM_UP):
        work()
    wait()
    started, times = time.perf_counter(), 0
    while times == 0 or time.perf_counter() - started < at_least:
        work()
        times += 1
    wait()
    return (time.perf_counter() - started) / times


def peak_tflops(name):
    """Dense bf16 peak by the data sheet; the cards of these names are slower than the SXM modules."""
    if "A100" in name:
        return 312
    if ("H100" in name and "HBM3" in name) or ("H200" in name and "NVL" not in name):
        return 989
    return None


def peak_memory(device):
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(work, at_least):
    def timed(job):
        return seconds(work.device, at_least, job)

    shape = f"{work.batch} x {work.length} tokens"
    tokens = work.batch * work.length
    one = timed(work.gradient)
    of_gradient = peak_memory(work.device)
    yield f"forward + backward, {shape}", tokens / one / 1e3, "K tokens/s"
    flops = tokens / one * work.flops_per_token / 1e12
    yield "forward + backward, operations", flops, "TFLOP/s"
    peak = peak_tflops(name(work.device))
    if peak:
        yield f"share of {peak} TFLOP/s in bf16", 100 * flops / peak, "%"

    momenta = [torch.zeros_like(parameter) for parameter in work.parameters]
    one = timed(lambda: work.encode(momenta))
    yield "DeMo encode", 1e3 * one, "ms"
    yield "DeMo encode, bytes moved", 12 * work.count / one / 1e9, "GB/s"

    payloads = [work.encode(momenta) for _ in range(PEERS)]
    del momenta
    work.model.zero_grad(set_to_none=True)
    one = timed(lambda: work.step(payloads, LR))
    yield f"aggregate {PEERS} peers", 1e3 * one, "ms"
    coefficients = sum(values.numel() for _, values in payloads[0])
    yield "aggregation, bytes moved", (8 * work.count + 6 * PEERS * coefficients) / one / 1e9, "GB/s"

    one = timed(lambda: work.evaluate(payloads[0]))
    yield f"evaluate one peer, 2 x {shape}", 1e3 * one, "ms"
    yield "peak memory of forward + backward", of_gradient / 1e9, "GB"
    yield "peak memory of all of it", peak_memory(work.device) / 1e9, "GB"


def digits(value):
    """Rounded to three significant digits."""
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(decimals, 0), 6)}f}"


def name(device):
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def main():
    args = parse()
    work = Work(args)
    rows = [(what, digits(value), unit) for what, value, unit in measure(work, args.seconds)]
    rows.insert(0, (f"{args.preset} on {name(work.device)}, PyTorch {torch.__version__}", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
