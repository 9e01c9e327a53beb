#!/usr/bin/env python3
"""Trains what a run of `sai pretrain` trained, in PyTorch, and sets the two curves side by side.

    target/release/sai pretrain recipes/5m.toml --out run
    python peers/pretraining.py run [--steps N] [--double]

    target/release/sai pretrain recipes/5m.toml --out run --set steps=20 --set checkpoint_every=1 --set keep_last=20
    python peers/pretraining.py run --each

The run's recipe says everything: the same first weights and the same documents in the same order are made here, from
the descriptions in `crates/decoder/src/training/init.rs` and `crates/trainer/src/{data,order}.rs`, and PyTorch does the
rest: its own attention, cross-entropy, autograd, clipping and AdamW. Printed is a table of validation in bits per byte for
each language and the largest and mean difference of the steps' training losses. Training is chaotic where the learning
rate is high: the last bits of a step decide how the loss goes on some twenty steps later. So there is `--double`, which
trains in twice the precision and shows whose bits were nearer, and `--each`, which begins every step with the weights and
moments of the run's checkpoint before it and shows how far the step then is from the run's own. Paths of the recipe are
taken from the current folder, as the run took them. Needs `torch`, `numpy` and, for `--each`, `safetensors`.
"""

import argparse
import json
import math
import pathlib
import time
import tomllib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
# Most tokens of a stretch, the unit of the order in which text is read.
STRETCH = 64


def mix(x):
    """The finaliser of SplitMix64, of a number or an array of uint64."""
    z = (x + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


# ---- Tokens at rest


class Shards:
    """A folder of token shards."""

    def __init__(self, folder):
        self.documents = []
        for path in sorted(pathlib.Path(folder).glob("shard-*.tokens")):
            data = np.memmap(path, np.uint8, "r")
            u32 = lambda at: int(data[at : at + 4].view("<u4")[0])
            u64 = lambda at: int(data[at : at + 8].view("<u8")[0])
            width, count, tokens, names = u32(12), u64(24), u64(32), u32(48)
            self.end = None if u32(56) == 2**32 - 1 else u32(56)
            ids = data[256 : 256 + width * tokens].view("<u2" if width == 2 else "<u4")
            at = 256 + -(-width * tokens // 8) * 8
            ends = data[at : at + 8 * count].view("<u8")
            at += 8 * count
            text_bytes, langs, _ = (data[at + 4 * count * i :][: 4 * count].view("<u4") for i in range(3))
            at += 12 * count
            name_ends = data[at : at + 4 * names].view("<u4").tolist()
            at += 4 * names
            name = [bytes(data[at + a : at + b]).decode() for a, b in zip([0, *name_ends], name_ends)]
            start = 0
            for i in range(count):
                lang = None if langs[i] == 2**32 - 1 else name[langs[i]]
                self.documents.append((ids, start, int(ends[i]), int(text_bytes[i]), lang))
                start = int(ends[i])
        # Where each begins, of all tokens.
        self.firsts = np.cumsum([0] + [end - start for _, start, end, _, _ in self.documents])

    def foretold(self, number):
        """Inputs and targets: the end token opens a document."""
        ids, start, end, _, _ = self.documents[number]
        tokens = ids[start:end].astype(np.int64)
        whole = tokens if self.end is None else np.concatenate(([self.end], tokens))
        return whole[:-1], whole[1:]


def order(count, seed, source, epoch):
    """A seeded permutation of documents: a Feistel network, walked until it is within."""
    key = mix(mix(mix(seed) ^ source) ^ epoch)
    half = max(-(-(count - 1).bit_length() // 2), 1)

    def at(value):
        while True:
            left, right = value >> half, value & (1 << half) - 1
            for turn in range(4):
                left, right = right, left ^ (mix(key ^ mix(turn << 32 ^ right)) & (1 << half) - 1)
            value = left << half | right
            if value < count:
                return value

    return at


class Data:
    """What a run reads, in its order."""

    def __init__(self, recipe):
        self.recipe = recipe
        self.stretch = min(STRETCH, recipe["context"])
        self.sources = [
            {"shards": Shards(s["path"]), "share": s["share"], "language": s.get("language"), "drawn": 0, "epoch": 0,
             "next": 0, "unread": None}
            for s in recipe["data"]
        ]

    def held_out(self, number):
        return (mix(number ^ 0x5A150F0E1D0C2B4A) >> 11) < self.recipe["validation_share"] * 2**53

    def pieces(self, source, stretch):
        """Inputs and targets of the pieces that begin in a stretch of tokens; a document is cut at every context."""
        shards, context, found = source["shards"], self.recipe["context"], []
        begin, end = stretch * self.stretch, (stretch + 1) * self.stretch
        number = int(np.searchsorted(shards.firsts, begin, "right")) - 1
        while number < len(shards.documents) and shards.firsts[number] < end:
            if source["language"] in (None, shards.documents[number][4]) and not self.held_out(number):
                first = int(shards.firsts[number])
                inputs, targets = shards.foretold(number)
                for at in range(0, min(len(inputs), end - first), context):
                    if first + at >= begin:
                        found.append((inputs[at : at + context], targets[at : at + context]))
            number += 1
        return found

    def sequence(self, context):
        """The documents' parts that fill a sequence."""
        parts, left = [], context
        while left:
            which = min(range(len(self.sources)), key=lambda i: self.sources[i]["drawn"] / self.sources[i]["share"])
            source = self.sources[which]
            count = -(-int(source["shards"].firsts[-1]) // self.stretch)
            if source["unread"] is None:
                stretch = order(count, self.recipe["seed"], which, source["epoch"])(source["next"])
                source["unread"] = self.pieces(source, stretch)
            if not source["unread"]:
                source["unread"] = None
                source["next"] = (source["next"] + 1) % count
                source["epoch"] += source["next"] == 0
                continue
            inputs, targets = source["unread"].pop(0)
            parts.append((inputs[:left], targets[:left]))
            if len(inputs) > left:
                source["unread"].insert(0, (inputs[left:], targets[left:]))
            source["drawn"] += len(parts[-1][0])
            left -= len(parts[-1][0])
        return parts

    def validation(self):
        """For each language, parts of documents no longer than the context, and the bytes of their texts."""
        languages = {}
        for which, source in enumerate(self.sources):
            shards = source["shards"]
            place = order(len(shards.documents), 0, which, 0)
            for number in map(place, range(len(shards.documents))):
                _, _, _, text_bytes, lang = shards.documents[number]
                if not self.held_out(number) or source["language"] not in (None, lang):
                    continue
                language = languages.setdefault(lang or "unknown", {"tokens": 0, "bytes": 0, "parts": []})
                if language["tokens"] >= self.recipe["validation_tokens"]:
                    continue
                inputs, targets = shards.foretold(number)
                if len(inputs) == 0:
                    continue
                language["tokens"] += len(inputs)
                language["bytes"] += text_bytes
                for start in range(0, len(inputs), self.recipe["context"]):
                    end = start + self.recipe["context"]
                    language["parts"].append((inputs[start:end], targets[start:end]))
        return dict(sorted(languages.items()))


# ---- The model


def turn(x, cos, sin):
    low, high = x.chunk(2, -1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)


class Layer(nn.Module):
    def __init__(self, m):
        super().__init__()
        d, dim, self.heads, self.kv = m["hidden_size"], m["head_dim"], m["num_heads"], m["num_kv_heads"]
        self.input_layernorm = nn.RMSNorm(d, m["rms_norm_eps"])
        self.post_attention_layernorm = nn.RMSNorm(d, m["rms_norm_eps"])
        linear = lambda n_in, n_out: nn.Linear(n_in, n_out, bias=False)
        self.self_attn = nn.ModuleDict(
            {"q_proj": linear(d, self.heads * dim), "k_proj": linear(d, self.kv * dim),
             "v_proj": linear(d, self.kv * dim), "o_proj": linear(self.heads * dim, d)}
        )
        inner = m["intermediate_size"]
        self.mlp = nn.ModuleDict(
            {"gate_proj": linear(d, inner), "up_proj": linear(d, inner), "down_proj": linear(inner, d)}
        )

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        heads = lambda x, n: x.view(b, t, n, -1).transpose(1, 2)
        h, a = self.input_layernorm(x), self.self_attn
        q, k = turn(heads(a.q_proj(h), self.heads), cos, sin), turn(heads(a.k_proj(h), self.kv), cos, sin)
        y = F.scaled_dot_product_attention(q, k, heads(a.v_proj(h), self.kv), mask, enable_gqa=self.heads != self.kv)
        x = x + a.o_proj(y.transpose(1, 2).reshape(b, t, -1))
        h, f = self.post_attention_layernorm(x), self.mlp
        return x + f.down_proj(F.silu(f.gate_proj(h)) * f.up_proj(h))


class Model(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        m = recipe["model"]
        self.embed_tokens = nn.Embedding(m["vocab_size"], m["hidden_size"])
        self.layers = nn.ModuleList(Layer(m) for _ in range(m["num_layers"]))
        self.norm = nn.RMSNorm(m["hidden_size"], m["rms_norm_eps"])
        self.head = None if m["tie_word_embeddings"] else nn.Linear(m["hidden_size"], m["vocab_size"], bias=False)
        dim = m["head_dim"]
        frequencies = m["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.outer(torch.arange(recipe["context"], dtype=torch.float64), frequencies)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                full = "lm_head.weight" if name == "head.weight" else f"model.{name}"
                p.data.copy_(torch.from_numpy(first_values(full, p.shape, m["num_layers"], recipe["seed"])))

    def forward(self, tokens, documents):
        """Logits of (sequences, rows); a row sees the rows before it that are of the same document."""
        t = tokens.shape[1]
        mask = (documents[:, :, None] == documents[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t], mask[:, None])
        return F.linear(self.norm(x), self.embed_tokens.weight if self.head is None else self.head.weight)


def first_values(name, shape, layers, seed):
    """Normal numbers, seeded by the tensor's name, smaller in matrices that write into the residual stream."""
    residual = name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight"))
    deviation = 0.02 / math.sqrt(2 * layers) if residual else 0.02
    named = 0xCBF29CE484222325
    for byte in name.encode():
        named = (named ^ byte) * 0x100000001B3 & MASK
    n = math.prod(shape)
    state = np.uint64(seed ^ named) + np.arange(n + n % 2, dtype=np.uint64) * np.uint64(GOLDEN)
    z = state + np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    unit = (((z ^ (z >> np.uint64(31))) >> np.uint64(11)) + np.uint64(1)).astype(np.float64) / 2**53
    radius, angle = np.sqrt(-2 * np.log(unit[::2])), math.tau * unit[1::2]
    pairs = deviation * np.stack((radius * np.cos(angle), radius * np.sin(angle)), -1)
    return pairs.reshape(-1)[:n].reshape(shape).astype(np.float32)


# ---- Training


def rate(recipe, step):
    s, highest = recipe["schedule"], recipe["optimizer"]["learning_rate"]
    steps, warmup = recipe["steps"], s["warmup_steps"]
    if step < warmup:
        return highest * (step + 1) / warmup
    lowest = highest * s["min_share"]
    gone = lambda first: min((step - first) / max(steps - first - 1, 1), 1)
    if s["kind"] == "constant":
        return highest
    if s["kind"] == "cosine":
        return lowest + (highest - lowest) * (1 + math.cos(math.pi * gone(warmup))) / 2
    first = max(steps - round(steps * s["decay_share"]), warmup)
    return highest if step < first else highest - (highest - lowest) * gone(first)


def batch(sequences, context):
    """Sequences of parts as tokens, targets and the number of each row's document; -1 where there is none."""
    tokens = torch.zeros(len(sequences), context, dtype=torch.long)
    targets, documents = torch.full_like(tokens, -100), torch.full_like(tokens, -1)
    for row, parts in enumerate(sequences):
        at = 0
        for number, (inputs, outputs) in enumerate(parts):
            place = slice(at, at + len(inputs))
            tokens[row, place], targets[row, place] = torch.from_numpy(inputs), torch.from_numpy(outputs)
            documents[row, place] = number
            at += len(inputs)
    return tokens, targets, documents


def lost(model, data, context):
    """The sum of −ln p of all targets."""
    tokens, targets, documents = data
    logits = model(tokens, documents)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1), reduction="sum")


@torch.no_grad()
def validate(model, languages, recipe):
    found = {}
    for name, language in languages.items():
        nats = 0.0
        parts = sorted(language["parts"], key=lambda part: len(part[0]))
        for at in range(0, len(parts), recipe["micro_batch"]):
            some = parts[at : at + recipe["micro_batch"]]
            longest = max(len(inputs) for inputs, _ in some)
            nats += lost(model, batch([[part] for part in some], longest), longest).item()
        found[name] = nats / math.log(2) / language["bytes"]
    return found


class Trainer:
    """A model with its optimiser."""

    def __init__(self, model, recipe):
        self.model, self.recipe = model, recipe
        o = recipe["optimizer"]
        split = lambda wanted: [p for p in model.parameters() if (p.dim() == 2) == wanted]
        groups = [
            {"params": split(True), "weight_decay": o["weight_decay"]},
            {"params": split(False), "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=(o["beta1"], o["beta2"]), eps=o["eps"], fused=True)

    def step(self, data, made):
        """The step after `made` others: its loss and the gradient's norm."""
        recipe, context = self.recipe, self.recipe["context"]
        sequences = [data.sequence(context) for _ in range(recipe["batch_tokens"] // context)]
        total = 0.0
        for at in range(0, len(sequences), recipe["micro_batch"]):
            part = lost(self.model, batch(sequences[at : at + recipe["micro_batch"]], context), context)
            (part / recipe["batch_tokens"]).backward()
            total += part.item()
        most = recipe["optimizer"]["clip"] or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), most).item()
        for group in self.adamw.param_groups:
            group["lr"] = rate(recipe, made)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        return total / recipe["batch_tokens"], norm

    @torch.no_grad()
    def load(self, checkpoint, made):
        """Takes weights and moments from a checkpoint of sai."""
        from safetensors.torch import load_file

        weights = load_file(checkpoint / "model.safetensors")
        for name, p in self.model.named_parameters():
            p.copy_(weights["lm_head.weight" if name == "head.weight" else f"model.{name}"])
        moments = load_file(checkpoint / "optimizer.safetensors")
        # As sai lays them out: matrices, the head behind the embedding, then all vectors.
        named = sorted(self.model.named_parameters(), key=lambda of: (of[1].dim() == 1, PLACES.get(of[0], 2)))
        at = 0
        for _, p in named:
            here = slice(at, at + p.numel())
            first, second = (moments[name][here].view(p.shape).to(p.dtype) for name in ("first", "second"))
            self.adamw.state[p] = {"step": torch.tensor(float(made)), "exp_avg": first, "exp_avg_sq": second}
            at += p.numel()

    def weights(self):
        return torch.cat([p.detach().flatten().double() for p in self.model.parameters()])


PLACES = {"embed_tokens.weight": 0, "head.weight": 1}


def each_step(checkpoints, data, trainer, lines):
    """Every step anew from the run's own checkpoint before it, against the checkpoint after it."""
    print("| step | loss, nats apart | gradient's norm, relative | weights, share of the step's length |")
    print("| --- | --- | --- | --- |")
    for line in lines:
        made = line["step"] - 1
        before, after = (checkpoints / f"step-{step:09}" for step in (made, made + 1))
        if made and not before.exists():
            raise SystemExit(f"{before}: not there; train with checkpoint_every=1 and keep_last as many as the steps")
        if made:
            trainer.load(before, made)
        began = trainer.weights()
        loss, norm = trainer.step(data, made)
        stepped = trainer.weights()
        trainer.load(after, made + 1)
        theirs = trainer.weights()
        apart = ((theirs - stepped).norm() / (theirs - began).norm()).item()
        loss, norm = abs(loss - line["loss"]), abs(norm / line["grad_norm"] - 1)
        print(f"| {made + 1} | {loss:.1e} | {norm:.1e} | {apart:.1e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="the folder of a run of `sai pretrain`")
    parser.add_argument("--steps", type=int, help="stop after so many steps, the schedule being the whole run's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--double", action="store_true", help="train in double precision")
    parser.add_argument("--each", action="store_true", help="begin each step with the run's checkpoint before it")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    recipe = tomllib.loads((chosen.run / "recipe.toml").read_text())
    metrics = [json.loads(line) for line in (chosen.run / "metrics.jsonl").read_text().splitlines()]
    if recipe["loss"]["z_loss"]:
        raise SystemExit(f"{chosen.run}: trained with a z-loss, which this script does not have")

    data = Data(recipe)
    kind = torch.float64 if chosen.double else torch.float32
    model = Model(recipe).to(kind)
    trainer = Trainer(model, recipe)
    lines = metrics[: chosen.steps]
    if chosen.each:
        return each_step(chosen.run / "checkpoints", data, trainer, lines)
    languages = data.validation()
    print("| step | " + " | ".join(f"{name}, sai | PyTorch | difference" for name in languages) + " |")
    print("| --- " * (1 + 3 * len(languages)) + "|")
    differences, seconds = [], 0.0
    for line in lines:
        began = time.perf_counter()
        loss, _ = trainer.step(data, line["step"] - 1)
        seconds += time.perf_counter() - began
        differences.append(abs(loss - line["loss"]))
        if "validation" in line:
            theirs = validate(model, languages, recipe)
            cells = [str(line["step"])]
            for found in line["validation"]:
                ours, peer = found["bits_per_byte"], theirs[found["language"]]
                cells += [f"{ours:.4f}", f"{peer:.4f}", f"{100 * (ours / peer - 1):+.2f} %"]
            print("| " + " | ".join(cells) + " |", flush=True)
    for first in range(0, len(differences), 20):
        some = differences[first : first + 20]
        print(f"training losses of steps {first + 1} to {first + len(some)}: at most {max(some):.1e} nats apart")
    print(f"PyTorch: {len(differences) * recipe['batch_tokens'] / seconds:.0f} tokens a second")


if __name__ == "__main__":
    main()
