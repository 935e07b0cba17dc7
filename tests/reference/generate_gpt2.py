#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Records ten training steps of a small GPT-2 made with PyTorch, which the tests compare the library with.

    /usr/bin/python3 tests/reference/generate_gpt2.py [FOLDER]     (Debian: python3-torch)

writes gpt2_float32.json, gpt2_float64.json, gpt2_bf16.json (float32 under autocast; losses and
gradient norms only) and gpt2_fp16.json (the same in fp16, which PyTorch 1.13 has no CPU products of:
they are made in float32 of rounded operands and rounded) into FOLDER (default: beside this file). Only the forward pass is written here;
every gradient comes from PyTorch's automatic differentiation, so nothing is shared with the library.

The model: learned positions, pre-LayerNorm blocks, causal attention scaled by 1/sqrt(hd), GELU in
its tanh form, output matrix tied to the token embedding, biases everywhere but on the output, no
dropout.

Weights and tokens come from integers, so that any program makes them without a file:
    number(name, i) = splitmix64(fnv1a(name) + i)                 64 bits; the i-th number of a name
    weight          = (number(name, i) >> 44) * 2^-22 - 2^-3      20 bits in [-1/8, 1/8), exact in float32
                      + 1 for the gammas of the norms             (still exact)
    token           = number("tokens", sequence * (S + 1) + position) mod V
with i the row-major index of the element in the tensor's global shape. A step trains on all
sequences of the global batch: inputs are a sequence's first S tokens, targets its last S. The same
batch serves every step.

The loss is the mean over the tokens of the global batch; gradients are accumulated over the
microbatches of consecutive sequences. Clipping multiplies every gradient by min(1, clip / norm).
The update is AdamW (Loshchilov and Hutter 2019), decay on matrices and embeddings only; it is
checked against torch.optim.AdamW.

The gradient of a key bias is zero (a softmax does not see a constant added to its row), so what is
recorded for it is rounding noise, which AdamW divides by its own size: final key biases agree to no
more than the noise does.
"""
import json
import math
import pathlib
import sys

import torch

CONFIG = dict(
    layers=2, hidden=32, heads=4, feed_forward=128, vocabulary=61, positions=16, sequence_length=16,
    microbatch_size=2, global_batch_size=4, steps=10, norm_epsilon=1e-5, learning_rate=1e-3, beta1=0.9,
    beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
MASK = (1 << 64) - 1


def fnv1a(name):
    """The 64-bit FNV-1a hash of a name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def splitmix64(value):
    """The finaliser of the splitmix64 generator (Steele, Lea and Flood 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def number(name, index):
    return splitmix64((fnv1a(name) + index) & MASK)


def initial_weight(name, index):
    centred = (number(name, index) >> 44) * 2.0**-22 - 2.0**-3
    return centred + 1.0 if name.endswith(".gamma") else centred


def tensor_shapes(c):
    """Every parameter in the library's canonical order, by its global shape."""
    hidden, heads, forward = c["hidden"], c["heads"], c["feed_forward"]
    shapes = {"embedding.tokens": (c["vocabulary"], hidden), "embedding.positions": (c["positions"], hidden)}
    for layer in range(c["layers"]):
        block = {
            "attention_norm.gamma": (hidden,), "attention_norm.beta": (hidden,),
            "attention.qkv.weight": (3, heads, hidden // heads, hidden),
            "attention.qkv.bias": (3, heads, hidden // heads),
            "attention.out.weight": (hidden, hidden), "attention.out.bias": (hidden,),
            "mlp_norm.gamma": (hidden,), "mlp_norm.beta": (hidden,),
            "mlp.up.weight": (forward, hidden), "mlp.up.bias": (forward,),
            "mlp.down.weight": (hidden, forward), "mlp.down.bias": (hidden,)}
        shapes.update({f"layers.{layer}.{name}": shape for name, shape in block.items()})
    shapes.update({"final_norm.gamma": (hidden,), "final_norm.beta": (hidden,)})
    return shapes


def initial_parameters(c, dtype):
    parameters = {}
    for name, shape in tensor_shapes(c).items():
        values = [initial_weight(name, index) for index in range(math.prod(shape))]
        exact = torch.tensor(values, dtype=torch.float64)
        parameters[name] = exact.to(dtype).reshape(shape).requires_grad_()
        assert torch.equal(parameters[name].detach().double().flatten(), exact)
    return parameters


def all_tokens(c):
    length = c["sequence_length"] + 1
    return torch.tensor([[number("tokens", row * length + at) % c["vocabulary"] for at in range(length)]
                         for row in range(c["global_batch_size"])])


def norm(c, p, prefix, x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], p[prefix + ".gamma"], p[prefix + ".beta"],
                                          c["norm_epsilon"])


def attention(c, p, prefix, x):
    batch, length, hidden = x.shape
    qkv = torch.einsum("bsd,khed->kbhse", x, p[prefix + ".qkv.weight"])
    query, key, value = qkv + p[prefix + ".qkv.bias"][:, None, :, None, :]
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = torch.softmax(scores.masked_fill(future, float("-inf")), dim=-1)
    joined = (weights @ value).transpose(1, 2).reshape(batch, length, hidden)
    return torch.nn.functional.linear(joined, p[prefix + ".out.weight"], p[prefix + ".out.bias"])


def mlp(p, prefix, x):
    up = torch.nn.functional.linear(x, p[prefix + ".up.weight"], p[prefix + ".up.bias"])
    active = torch.nn.functional.gelu(up, approximate="tanh")
    return torch.nn.functional.linear(active, p[prefix + ".down.weight"], p[prefix + ".down.bias"])


def logits_of(c, p, tokens):
    """tokens (B, S) -> logits (B, S, V)."""
    x = p["embedding.tokens"][tokens] + p["embedding.positions"][:tokens.shape[1]]
    for layer in range(c["layers"]):
        block = f"layers.{layer}."
        x = x + attention(c, p, block + "attention", norm(c, p, block + "attention_norm", x))
        x = x + mlp(p, block + "mlp", norm(c, p, block + "mlp_norm", x))
    return norm(c, p, "final_norm", x) @ p["embedding.tokens"].T


class Rounded(torch.autograd.Function):
    """x as float16 has it, and so its gradient."""

    @staticmethod
    def forward(context, x):
        return x.half().float()

    @staticmethod
    def backward(context, gradient):
        return gradient.half().float()


class Fp16Products(torch.overrides.TorchFunctionMode):
    """What autocast does on a GPU: products of float16 numbers, added in float32 and rounded, there and back."""
    PRODUCTS = {torch.einsum, torch.nn.functional.linear, torch.Tensor.matmul, torch.Tensor.__matmul__}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in self.PRODUCTS:
            return function(*args, **(kwargs or {}))
        rounded = [Rounded.apply(x) if isinstance(x, torch.Tensor) else x for x in args]
        return Rounded.apply(function(*rounded, **(kwargs or {})))


def products_in(half):
    """The context of a forward pass: half is None, "bf16" or "fp16"."""
    return Fp16Products() if half == "fp16" else torch.autocast("cpu", dtype=torch.bfloat16, enabled=half == "bf16")


def accumulate_gradients(c, p, tokens, half=None, loss_scale=1):
    """Loss of the global batch and logits of its first microbatch; the parameters hold the gradients times
    `loss_scale`. With `half` products are of that type and what PyTorch's autocast leaves is float32."""
    microbatches = tokens.split(c["microbatch_size"])
    total, first = 0.0, None
    for part in microbatches:
        with products_in(half):
            logits = logits_of(c, p, part[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1) if half else logits.flatten(0, 1),
                                                 part[:, 1:].flatten())
        (loss * loss_scale / len(microbatches)).backward()
        total += loss.item() / len(microbatches)
        first = logits.detach() if first is None else first
    return total, first


def has_decay(name):
    return name.endswith(".weight") or name.startswith("embedding.")


class AdamW:
    """The update by hand, and beside it torch.optim.AdamW on a copy of the parameters as a check."""

    def __init__(self, c, p):
        self.c, self.p, self.step_count = c, p, 0
        self.first = {name: torch.zeros_like(tensor) for name, tensor in p.items()}
        self.second = {name: torch.zeros_like(tensor) for name, tensor in p.items()}
        self.copy = {name: tensor.detach().clone().requires_grad_() for name, tensor in p.items()}
        groups = [{"params": [t for n, t in self.copy.items() if has_decay(n) == decays],
                   "weight_decay": c["weight_decay"] if decays else 0.0} for decays in (True, False)]
        self.check = torch.optim.AdamW(groups, lr=c["learning_rate"], betas=(c["beta1"], c["beta2"]),
                                       eps=c["epsilon"])

    def step(self, scale):
        c, self.step_count = self.c, self.step_count + 1
        correction1 = 1 - c["beta1"]**self.step_count
        correction2 = 1 - c["beta2"]**self.step_count
        for name, tensor in self.p.items():
            gradient = tensor.grad * scale
            self.copy[name].grad = gradient.clone()
            self.first[name].mul_(c["beta1"]).add_(gradient, alpha=1 - c["beta1"])
            self.second[name].mul_(c["beta2"]).add_(gradient * gradient, alpha=1 - c["beta2"])
            denominator = (self.second[name] / correction2).sqrt() + c["epsilon"]
            decay = c["weight_decay"] if has_decay(name) else 0.0
            with torch.no_grad():
                tensor.mul_(1 - c["learning_rate"] * decay)
                tensor.sub_(c["learning_rate"] * (self.first[name] / correction1) / denominator)
            tensor.grad = None
        self.check.step()
        for name, tensor in self.p.items():
            tolerance = 100 * torch.finfo(tensor.dtype).eps
            assert torch.allclose(tensor, self.copy[name], rtol=tolerance, atol=tolerance), name


def gradient_norm(p):
    return math.sqrt(sum(tensor.grad.double().square().sum().item() for tensor in p.values()))


def checksum(tensor):
    """Three float64 numbers of a tensor: sum, Euclidean norm, and the sum of (i + 1) / n * w_i."""
    values = tensor.detach().double().flatten()
    places = torch.arange(1, len(values) + 1, dtype=torch.float64) / len(values)
    return [values.sum().item(), values.norm().item(), (values * places).sum().item()]


def recorded(tensor):
    digits = 9 if tensor.dtype == torch.float32 else 17
    numbers = ",".join(format(value, f".{digits}g") for value in tensor.flatten().tolist())
    return f'{{"shape": {json.dumps(list(tensor.shape))}, "values": [{numbers}]}}'


def spot_checks(p):
    """A few initial weights of every tensor as [index, value], for the test of the formula."""
    places = {name: sorted({0, tensor.numel() // 3, tensor.numel() - 1}) for name, tensor in p.items()}
    return {name: [[i, initial_weight(name, i)] for i in places[name]] for name in p}


def train(c, dtype):
    """The file's members by name, each as JSON text."""
    p, tokens, losses, norms = initial_parameters(c, dtype), all_tokens(c), [], []
    result = {"config": json.dumps(c), "tokens": json.dumps(tokens.tolist()),
              "initial_weights": json.dumps(spot_checks(p))}
    optimiser = AdamW(c, p)
    for step in range(c["steps"]):
        loss, logits = accumulate_gradients(c, p, tokens)
        losses.append(loss)
        norms.append(gradient_norm(p))
        if step == 0:
            result["logits"] = recorded(logits.transpose(0, 1).contiguous())
            gradients = [f'  "{name}": {recorded(tensor.grad)}' for name, tensor in p.items()]
            result["gradients"] = "{\n" + ",\n".join(gradients) + "}"
        optimiser.step(min(1.0, c["clip"] / norms[-1]))
    result["losses"], result["gradient_norms"] = json.dumps(losses), json.dumps(norms)
    result["final_weights"] = json.dumps({name: checksum(tensor) for name, tensor in p.items()})
    return result


def train_half(c, half, loss_scale):
    """Only losses and gradient norms: of every other number another order of roundings makes another one."""
    p, tokens, losses, norms = initial_parameters(c, torch.float32), all_tokens(c), [], []
    optimiser = AdamW(c, p)
    for _ in range(c["steps"]):
        losses.append(accumulate_gradients(c, p, tokens, half, loss_scale)[0])
        for tensor in p.values():
            tensor.grad /= loss_scale
        norms.append(gradient_norm(p))
        optimiser.step(min(1.0, c["clip"] / norms[-1]))
    return {"config": json.dumps(c), "losses": json.dumps(losses), "gradient_norms": json.dumps(norms)}


def write(folder, name, members):
    members = {"made_by": json.dumps(f"generate_gpt2.py, PyTorch {torch.__version__}, {name}"), **members}
    text = "{\n" + ",\n".join(f'"{key}": {value}' for key, value in members.items()) + "\n}\n"
    json.loads(text)
    (folder / f"gpt2_{name}.json").write_text(text)


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for dtype, name in ((torch.float32, "float32"), (torch.float64, "float64")):
        write(folder, name, train(CONFIG, dtype))
    write(folder, "bf16", train_half(CONFIG, "bf16", 1))
    write(folder, "fp16", train_half(CONFIG, "fp16", 1024))


if __name__ == "__main__":
    main()
