#!/usr/bin/env python3
"""Writes a GGUF file of 42dot LLM's shape with random weights, for timing programs that read files.

    python peers/random_model.py TYPE TARGET [--layers 24]

TYPE is f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 or q2_k to q6_k, for all matrices. The shape is that of `sai bench`
without a model: hidden 2,048, 32 heads, feed-forward 5,632, an untied vocabulary of 50,304 without a tokenizer, 4,096
positions. Weights come out about 0.02, so that activations stay finite. Needs the packages `gguf` and `numpy`.
"""

import argparse

import gguf
import numpy as np

HIDDEN, FFN, VOCAB, HEADS, CONTEXT = 2048, 5632, 50304, 32, 4096
SIZE = 0.02

# Where a block has its halves, and what they are: scales that suit random integers, minima that centre them.
HALVES = {
    "Q8_0": [(0, SIZE / 74)],
    "Q4_0": [(0, SIZE / 4.6)],
    "Q4_1": [(0, SIZE / 4.6), (2, SIZE / 4.6 * -7.5)],
    "Q5_0": [(0, SIZE / 9.2)],
    "Q5_1": [(0, SIZE / 9.2), (2, SIZE / 9.2 * -15.5)],
    "Q2_K": [(80, SIZE / 12), (82, SIZE / 12 * 1.5)],
    "Q3_K": [(108, SIZE / 42)],
    "Q4_K": [(0, SIZE / 210), (2, SIZE / 210 * 7.5)],
    "Q5_K": [(0, SIZE / 430), (2, SIZE / 430 * 15.5)],
    "Q6_K": [(208, SIZE / 1370)],
}


def matrix(random, kind, rows, columns):
    """Bytes of a matrix, (rows, bytes of a row)."""
    length, size = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (rows * columns // length, size), dtype=np.uint8)
    if kind.name in HALVES:
        for at, value in HALVES[kind.name]:
            data[:, at : at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    elif kind.name == "F16":
        data[:, 1] = data[:, 1] & 0x83 | 0x24
    else:
        # F32 and BF16: sign and fraction as they fell, an exponent of -6.
        data[:, -1] = data[:, -1] & 0x80 | 0x3C
        data[:, -2] = data[:, -2] & 0x7F | 0x80
    return data.reshape(rows, -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("type")
    parser.add_argument("target")
    parser.add_argument("--layers", type=int, default=24)
    args = parser.parse_args()
    kind = gguf.GGMLQuantizationType[args.type.upper()]

    shapes = {"token_embd": (VOCAB, HIDDEN), "output": (VOCAB, HIDDEN), "output_norm": (HIDDEN,)}
    for layer in range(args.layers):
        shapes |= {f"blk.{layer}.{name}": (HIDDEN, HIDDEN) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        shapes |= {f"blk.{layer}.{name}": (FFN, HIDDEN) for name in ("ffn_gate", "ffn_up")}
        shapes |= {f"blk.{layer}.ffn_down": (HIDDEN, FFN)}
        shapes |= {f"blk.{layer}.{name}": (HIDDEN,) for name in ("attn_norm", "ffn_norm")}

    writer = gguf.GGUFWriter(args.target, "llama")
    writer.add_name(f"random {args.type}")
    writer.add_block_count(args.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")
    length, size = gguf.GGML_QUANT_SIZES[kind]
    for name, shape in shapes.items():
        if len(shape) == 1:
            writer.add_tensor_info(f"{name}.weight", shape, np.dtype(np.float32), 4 * shape[0])
        else:
            row = shape[1] // length * size
            writer.add_tensor_info(f"{name}.weight", (shape[0], row), np.dtype(np.uint8), shape[0] * row, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(0)
    for shape in shapes.values():
        writer.write_tensor_data(np.ones(shape, np.float32) if len(shape) == 1 else matrix(random, kind, *shape))
    writer.close()


main()
