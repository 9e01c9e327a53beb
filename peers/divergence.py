#!/usr/bin/env python3
"""How far a model in fewer bits departs from the model that it was made of, computed in f32 whatever the types are.

    peers/divergence.py f32.gguf FILE… --texts TEXT… [--tokens 768]

For every FILE the mean over tokens of the Kullback-Leibler divergence of its next-token distribution from f32.gguf's, with
the standard error, how often both have the same likeliest token, and the perplexity. The divergence is judged on every
position and every token of the vocabulary, so that far less text tells two quantisers apart than by perplexity. Each
text is cut to --tokens tokens and read in windows of 256. A FILE written `a.gguf+b.gguf:REGEX` is a.gguf with those
tensors of b.gguf whose names REGEX finds. For models of plain rotary positions and no biases, such as SmolLM2. Needs the
packages of scripts/fixtures/requirements.txt.
"""

import argparse
import os
import pathlib
import re

import gguf
import numpy as np
import torch
import torch.nn.functional as F

WINDOW = 256


class Model:
    """The tensors of a GGUF file in f32, by name, and the few facts that its forward pass needs."""

    def __init__(self, spec):
        path, _, taken = spec.partition("+")
        other, _, pattern = taken.partition(":")
        reader = gguf.GGUFReader(path)
        prefix = reader.fields["general.architecture"].contents() + "."
        fact = lambda key: reader.fields[prefix + key].contents()
        self.layers, self.heads = fact("block_count"), fact("attention.head_count")
        self.kv_heads, self.eps = fact("attention.head_count_kv"), fact("attention.layer_norm_rms_epsilon")
        self.base = fact("rope.freq_base")
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        if other:
            tensors |= {t.name: t for t in gguf.GGUFReader(other).tensors if re.search(pattern, t.name)}
        numbers = lambda t: np.array(gguf.dequantize(t.data, t.tensor_type), dtype=np.float32)
        self.tensors = {name: torch.from_numpy(numbers(tensor)) for name, tensor in tensors.items()}

    def norm(self, x, name):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.tensors[name + ".weight"]

    def linear(self, x, name):
        return F.linear(x, self.tensors[name + ".weight"])

    def rotate(self, x):
        """Neighbouring pairs, as GGUF files of LLaMA's kind have them; x is (windows, heads, positions, size)."""
        size, positions = x.shape[-1], torch.arange(x.shape[-2])
        angles = torch.outer(positions, self.base ** (-torch.arange(0, size, 2) / size))
        turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(turned).reshape(x.shape)

    @torch.no_grad()
    def log_probabilities(self, tokens):
        """Of every token after each position: (windows, positions, vocabulary)."""
        split = lambda x, heads: x.unflatten(-1, (heads, -1)).transpose(1, 2)
        x = self.tensors["token_embd.weight"][tokens]
        for i in range(self.layers):
            layer = f"blk.{i}."
            h = self.norm(x, layer + "attn_norm")
            q = self.rotate(split(self.linear(h, layer + "attn_q"), self.heads))
            k = self.rotate(split(self.linear(h, layer + "attn_k"), self.kv_heads))
            v = split(self.linear(h, layer + "attn_v"), self.kv_heads)
            h = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            x = x + self.linear(h.transpose(1, 2).flatten(2), layer + "attn_output")
            h = self.norm(x, layer + "ffn_norm")
            gate, up = self.linear(h, layer + "ffn_gate"), self.linear(h, layer + "ffn_up")
            x = x + self.linear(F.silu(gate) * up, layer + "ffn_down")
        head = "output" if "output.weight" in self.tensors else "token_embd"
        return torch.log_softmax(self.linear(self.norm(x, "output_norm"), head), -1)


def windows(source, texts, tokens):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    ids = [tokenizer(path.read_text(), add_special_tokens=False)["input_ids"][:tokens] for path in texts]
    return torch.cat([torch.tensor(row[: len(row) // WINDOW * WINDOW]).reshape(-1, WINDOW) for row in ids])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--texts", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=768)
    args = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    tokens = windows(args.source, args.texts, args.tokens)
    surprise = lambda p: -p[:, :-1].gather(-1, tokens[:, 1:, None]).mean()
    truth = Model(str(args.source)).log_probabilities(tokens)
    print(f"{tokens.numel()} tokens; {args.source.name}: perplexity {surprise(truth).exp():.4f}\n")
    print("| file | divergence | same likeliest token | perplexity |\n| --- | --- | --- | --- |")
    for spec in args.files:
        found = Model(spec).log_probabilities(tokens)
        apart = (truth.exp() * (truth - found)).sum(-1).flatten()
        same = (truth.argmax(-1) == found.argmax(-1)).float().mean()
        print(f"| {spec} | {apart.mean():.5f} ± {apart.std() / len(apart) ** 0.5:.5f} | {100 * same:.2f} % |"
              f" {surprise(found).exp():.4f} |", flush=True)


main()
