#!/usr/bin/env python3
"""Steps of training a LLaMA-like model: PyTorch eager, PyTorch compiled, and sai, in turns on the same tokens.

    cargo build --release -p sai-decoder --example training_step
    python peers/training.py small target/release/examples/training_step     # 20.5M parameters, 8 x 512 tokens
    python peers/training.py large target/release/examples/training_step     # 124M parameters, 4 x 512 tokens

Each contender is a process that builds the model, makes its first step untimed, and then, in turns with the others,
makes one timed step a round: forward, backward, clipping of the gradient's norm, AdamW. Printed are medians of
tokens a second, of the ratios within each round, and the peak of each process's memory. PyTorch runs as well as it
can here: fused AdamW, one product for query, key and value and one for gate and up, its own attention kernel.
`torch.compile` needs a C++ compiler. Needs `torch` and `numpy`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

SHAPES = {
    "small": {"hidden": 384, "layers": 8, "heads": 6, "inner": 1024, "vocab": 16384, "rows": 8, "context": 512},
    "large": {"hidden": 768, "layers": 12, "heads": 12, "inner": 2048, "vocab": 50257, "rows": 4, "context": 512},
}
RATE, CLIP, DECAY = 3e-4, 1.0, 0.1


def contender(kind, shape, threads):
    """The PyTorch side: a line on standard input is a number of steps to make."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    d, heads, inner, vocab = shape["hidden"], shape["heads"], shape["inner"], shape["vocab"]
    dim = d // heads

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.RMSNorm(d, 1e-5), nn.RMSNorm(d, 1e-5)
            self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
            self.gate_up, self.down = nn.Linear(d, 2 * inner, bias=False), nn.Linear(inner, d, bias=False)

        def forward(self, x, cos, sin):
            b, t, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, heads, dim).permute(2, 0, 3, 1, 4)
            q, k = turn(q, cos, sin), turn(k, cos, sin)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
            gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
            return x + self.down(F.silu(gate) * up)

    def turn(x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab, d)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = nn.RMSNorm(d, 1e-5)
            angles = torch.outer(torch.arange(shape["context"]), 10000.0 ** (-torch.arange(0, dim, 2) / dim))
            self.register_buffer("cos", angles.cos(), persistent=False)
            self.register_buffer("sin", angles.sin(), persistent=False)
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    residual = name.endswith(("out.weight", "down.weight"))
                    nn.init.normal_(p, 0.0, 0.02 / (2 * shape["layers"]) ** 0.5 if residual else 0.02)

        def forward(self, tokens, targets):
            x = self.embedding(tokens)
            for block in self.blocks:
                x = block(x, self.cos, self.sin)
            logits = F.linear(self.norm(x), self.embedding.weight)
            return F.cross_entropy(logits.view(-1, vocab), targets.view(-1))

    model = Model()
    groups = [
        {"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95), eps=1e-8, fused=True)
    run = torch.compile(model) if kind == "compiled" else model
    tokens = torch.from_numpy(batch(shape).astype(np.int64)).view(shape["rows"], shape["context"] + 1)

    def step():
        loss = run(tokens[:, :-1], tokens[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item()

    serve(step)


def batch(shape):
    """The tokens that every contender trains on: a generator that is as short in Rust."""
    import numpy as np

    state, out = 1, []
    for _ in range(shape["rows"] * (shape["context"] + 1)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 33) % shape["vocab"])
    return np.array(out, dtype=np.uint32)


def serve(step):
    """Makes as many steps as each line says, and answers with a line of JSON."""
    for line in sys.stdin:
        seconds, loss = [], None
        for _ in range(int(line)):
            start = time.perf_counter()
            loss = step()
            seconds.append(time.perf_counter() - start)
        peak = next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmHWM"))
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_bytes": peak}), flush=True)


def compare(name, shape, sai, threads, rounds, only):
    commands = {
        kind: [sys.executable, __file__, name, "--contender", kind, "--threads", str(threads)]
        for kind in ("eager", "compiled")
    }
    if sai:
        facts = [f"{k}={v}" for k, v in shape.items()] + [f"threads={threads}"]
        commands["sai"] = [sai, *facts]
    running = {
        kind: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for kind, command in commands.items()
        if kind in only
    }

    def ask(kind, steps):
        running[kind].stdin.write(f"{steps}\n")
        running[kind].stdin.flush()
        return json.loads(running[kind].stdout.readline())

    losses, seconds = {}, {kind: [] for kind in running}
    # One after another, so that only one process computes at a time.
    for kind in running:
        losses[kind] = ask(kind, 1)["loss"]
    for _ in range(rounds):
        for kind in running:
            last = ask(kind, 1)
            seconds[kind] += last["seconds"]
            running[kind].peak = last["peak_bytes"]
    for process in running.values():
        process.stdin.close()
        process.wait()

    tokens = shape["rows"] * shape["context"]
    ours = "sai" if "sai" in running else None
    print(f"{name}: {tokens} tokens a step, {threads} threads, {rounds} rounds")
    print("| | tokens/s | peak memory, MB | first loss | sai is faster by | sai's memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in running:
        speed = tokens / statistics.median(seconds[kind])
        cells = [kind, f"{speed:.0f}", f"{running[kind].peak / 1e6:.0f}", f"{losses[kind]:.4f}", "", ""]
        if ours and kind != ours:
            cells[4] = f"{statistics.median(a / b for a, b in zip(seconds[kind], seconds[ours])):.2f} x"
            cells[5] = f"{running[ours].peak / running[kind].peak:.2f} x"
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("sai", nargs="?", help="sai's contender, target/release/examples/training_step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=["eager", "compiled", "sai"], help="some of the contenders")
    parser.add_argument("--contender", choices=["eager", "compiled"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        contender(chosen.contender, SHAPES[chosen.shape], chosen.threads)
    else:
        compare(chosen.shape, SHAPES[chosen.shape], chosen.sai, chosen.threads, chosen.rounds, chosen.only)
