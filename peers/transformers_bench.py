#!/usr/bin/env python3
"""Speed of `transformers` on the processor, timed as `sai bench` and `peer-llama-cpp bench` time theirs.

    python peers/transformers_bench.py -m MODEL.gguf --dtype f32 [-p 512] [-n 128] [-d 0] [-r 5] [--threads 2]

The model has the shape that the GGUF file's metadata gives, with all weights in f32 or bf16. They are random: what the
values are does not change the work, and expanding a large file's blocks takes longer than timing it. Prints one JSON
object. Needs `torch`, `transformers` and `gguf`.
"""

import argparse
import json
import statistics
import time

import gguf
import torch
import transformers

PIECE, WARM_UP = 512, 4


def config(path):
    """The shape of the model in a GGUF file."""
    reader = gguf.GGUFReader(path)
    architecture = reader.fields["general.architecture"].contents()
    fact = lambda key: reader.fields[f"{architecture}.{key}"].contents()
    shapes = {tensor.name: tensor.shape for tensor in reader.tensors}
    return transformers.LlamaConfig(
        vocab_size=int(shapes["token_embd.weight"][1]),
        hidden_size=fact("embedding_length"),
        intermediate_size=fact("feed_forward_length"),
        num_hidden_layers=fact("block_count"),
        num_attention_heads=fact("attention.head_count"),
        num_key_value_heads=fact("attention.head_count_kv"),
        max_position_embeddings=fact("context_length"),
        tie_word_embeddings="output.weight" not in shapes,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def build(shape, dtype):
    """A model of that shape, its weights uniform about the size of trained ones."""
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(shape).to(dtype)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.uniform_(-0.035, 0.035) if parameter.dim() > 1 else parameter.data.fill_(1)
    # The frequencies of rotary embedding are no parameters, and were left behind with the rest of the empty model.
    model.model.rotary_emb = type(model.model.rotary_emb)(shape)
    model.tie_weights()
    return model.eval()


class Timer:
    def __init__(self, model):
        self.model, self.cache, self.length = model, transformers.DynamicCache(), 0

    def pieces(self, tokens, piece):
        """Computes random tokens in passes of `piece`; returns seconds."""
        seconds = 0.0
        while tokens > 0:
            rows = min(piece, tokens)
            ids = torch.randint(self.model.config.vocab_size, (1, rows))
            began = time.perf_counter()
            self.model(input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
            seconds += time.perf_counter() - began
            self.length += rows
            tokens -= rows
        return seconds

    def back_to(self, length):
        if length < self.length:
            # A negative number takes tokens away.
            self.cache.crop(length - self.length)
        self.length = length


def spread(name, rates):
    return {
        f"{name}_tok_s": statistics.median(rates) if rates else None,
        f"{name}_tok_s_range": [min(rates), max(rates)] if rates else None,
    }


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("-p", "--n-prompt", type=int, default=512)
    parser.add_argument("-n", "--n-gen", type=int, default=128)
    parser.add_argument("-d", "--depth", type=int, default=0)
    parser.add_argument("-r", "--repeats", type=int, default=5)
    parser.add_argument("-t", "--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = build(config(args.model), {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype])
    timer = Timer(model)
    for tokens, piece in ((min(args.n_prompt, PIECE), PIECE), (WARM_UP, 1), (args.depth, PIECE)):
        timer.back_to(0)
        timer.pieces(tokens, piece)
    prefill, decode = [], []
    for _ in range(args.repeats):
        for tokens, piece, rates in ((args.n_prompt, PIECE, prefill), (args.n_gen, 1, decode)):
            timer.back_to(args.depth)
            if tokens:
                rates.append(tokens / timer.pieces(tokens, piece))
    figures = {"model": args.model, "dtype": args.dtype, "threads": args.threads, "depth": args.depth}
    figures |= {"transformers": transformers.__version__, "torch": torch.__version__}
    print(json.dumps(figures | spread("prefill", prefill) | spread("decode", decode)))


main()
