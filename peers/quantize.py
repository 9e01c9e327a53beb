#!/usr/bin/env python3
"""Quantise a model with sai and with llama.cpp, to every type, and compare perplexity and speed.

    cargo build --release && (cd peers && cargo build --release --locked)
    peers/quantize.py f32.gguf TEXT… [--types q4_0,q4_k_m] [--rounds 3] [--sai target/release/sai]

Prints a Markdown table. Both files of a type are judged by the same program, `sai perplexity`, on the same texts, joined
by empty lines; speed is the ratio of the whole commands' times, run in turns round by round.

    peers/quantize.py --expand model.gguf f32.gguf [--wide] [--off-grid]

makes the source: every tensor in f32. --off-grid gives weights that come from Q4_1 blocks a random part of their
block's step, seeded, because on a grid of four bits some types are exact, as they are on no trained model. --wide makes
the width a multiple of 256, 768 of SmolLM2's 576, with zeros, heads that say nothing and norms that make up for it: the
same function, and rows that the blocks of K types divide, so that nothing falls back to another type. Needs the packages of scripts/fixtures/requirements.txt.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

PEERS = pathlib.Path(__file__).resolve().parent
TYPES = "q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 q3_k_l q3_k_m q3_k_s q2_k".split()


def expand(source, target, wide, off_grid):
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(source)
    said = lambda key: reader.fields[f"llama.{key}"].contents()
    old = said("embedding_length")
    heads, keys = said("attention.head_count"), said("attention.head_count_kv")
    replaced, renormed, wider = {}, 1.0, {}
    if wide:
        # As many queries to a key as before: nine over three become twelve over four.
        size, new = old // heads, -(-old // 256) * 256
        new_heads, new_keys = new // size, new // size * keys // heads
        replaced = {
            "llama.embedding_length": new,
            "llama.attention.head_count": new_heads,
            "llama.attention.head_count_kv": new_keys,
        }
        renormed, wider = old / new, {keys * size: new_keys * size, old: new}
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        kind, value = field.types[0], replaced.get(key, field.contents())
        if key == "llama.attention.layer_norm_rms_epsilon":
            value *= renormed
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, kind, sub_type=element)
    writer.add_file_type(0)

    def padded(values, name):
        if not wide:
            return values
        values = values * np.float32(np.sqrt(renormed)) if "norm" in name else values
        out = np.zeros([wider.get(n, n) for n in values.shape], np.float32)
        out[tuple(slice(n) for n in values.shape)] = values
        return out

    random = np.random.default_rng(42)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if off_grid and tensor.tensor_type == gguf.GGMLQuantizationType.Q4_1:
            steps = np.ascontiguousarray(tensor.data.reshape(-1, 20)[:, :2]).view(np.float16).astype(np.float32)
            parts = random.random((steps.shape[0], 32), dtype=np.float32) - 0.5
            values = (values.reshape(-1, 32) + parts * steps).reshape(values.shape)
        writer.add_tensor(tensor.name, padded(values, tensor.name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def timed(*command):
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def perplexity(sai, model, text):
    command = [sai, "perplexity", "-m", model, "-f", text, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["perplexity"]


def compare(args, folder):
    text = folder / "text.txt"
    text.write_text("\n\n".join(path.read_text() for path in args.texts))
    ours, theirs = folder / "sai.gguf", folder / "llama-cpp.gguf"
    print(f"{args.source.name}, f32: perplexity {perplexity(args.sai, args.source, text):.4f}\n")
    print("| type | bits a weight | perplexity: llama.cpp | sai | difference | speed (lowest to highest) |")
    print("| --- | --- | --- | --- | --- | --- |")
    weights = args.source.stat().st_size / 4
    for kind in args.types.split(","):
        ratios = []
        for _ in range(args.rounds):
            sai = timed(args.sai, "quantize", args.source, ours, kind, "--force", "--threads", str(args.threads))
            peer = timed(args.llama_cpp, "quantize", args.source, theirs, kind, "--threads", str(args.threads))
            ratios.append(peer / sai)
        a, b = perplexity(args.sai, ours, text), perplexity(args.sai, theirs, text)
        print(f"| {kind} | {8 * ours.stat().st_size / weights:.2f} | {b:.4f} | {a:.4f} | {100 * (a / b - 1):+.2f} % |"
              f" {statistics.median(ratios):.1f} × ({min(ratios):.1f} to {max(ratios):.1f}) |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--expand", action="store_true")
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--off-grid", action="store_true")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sai", default=PEERS.parent / "target/release/sai")
    parser.add_argument("--llama-cpp", default=PEERS / "target/release/peer-llama-cpp")
    args = parser.parse_args()
    if args.expand:
        return expand(args.source, args.texts[0], args.wide, args.off_grid)
    with tempfile.TemporaryDirectory() as folder:
        compare(args, pathlib.Path(folder))


main()
