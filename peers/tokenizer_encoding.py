#!/usr/bin/env python3
"""Encode the same documents with sai, Hugging Face tokenizers, tiktoken and rustbpe, in turns, and compare speed and ids.

    cargo bench -p sai-tokenizer --bench encode --no-run      # prints the program's path
    python peers/tokenizer_encoding.py --sai PROGRAM --tokenizer tokenizer.json FILE.jsonl… [--megabytes 8] [--rounds 3]

A line of a file is an object with a `text`. About --megabytes of each file's documents are taken, evenly spread, each
once. Every program runs on one thread, reads the same vocabulary and the same pattern, GPT-2's, and encodes one
document after another; loading is not timed. sai's figures are a first pass with nothing kept (cold) and a second one
(warm); the others run as they are after a first document. Ids are compared by a checksum over all documents. rustbpe
reads no vocabulary: it runs with one that it trained itself on the documents, and its ids are its own.

Needs the packages tokenizers, tiktoken, numpy, and rustbpe if it shall run.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def sample(path, megabytes):
    """Documents spread evenly over a file, about so many megabytes."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    size = sum(len(line.encode()) for line in lines)
    step = max(1, round(size / (megabytes * 1e6)))
    return [json.loads(line)["text"] for line in lines[::step]]


def byte_of_character():
    """GPT-2's alphabet: the byte that each character stands for."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def tiktoken_encoding(vocabulary):
    import tiktoken

    alphabet = byte_of_character()
    special = {token["content"]: token["id"] for token in vocabulary["added_tokens"]}
    ranks = {
        bytes(alphabet[c] for c in token): rank
        for token, rank in vocabulary["model"]["vocab"].items()
        if token not in special
    }
    return tiktoken.Encoding("own", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=special)


def timed(encode, documents):
    """Seconds, tokens and checksum of a pass."""
    import numpy as np

    encode(documents[0])
    began = time.perf_counter()
    found = [encode(text) for text in documents]
    seconds = time.perf_counter() - began
    digest = hashlib.sha256()
    for ids in found:
        digest.update(np.array([*ids, 0xFFFFFFFF], dtype="<u4").tobytes())
    return seconds, sum(map(len, found)), digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--sai", required=True, help="the built benchmark program `encode`")
    parser.add_argument("--tokenizer", required=True, help="a byte-level tokenizer.json")
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rustbpe", action="store_true")
    options = parser.parse_args()

    import tokenizers

    vocabulary = json.loads(pathlib.Path(options.tokenizer).read_text(encoding="utf-8"))
    vocabulary["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocabulary["post_processor"] = None
    theirs = tokenizers.Tokenizer.from_str(json.dumps(vocabulary))
    tiktoken = tiktoken_encoding(vocabulary)
    peers = {
        "tokenizers": lambda text: theirs.encode(text, add_special_tokens=False).ids,
        "tiktoken": tiktoken.encode_ordinary,
    }
    print("| text | program | MB/s | sai cold is | sai warm is | ids |\n| --- | --- | --- | --- | --- | --- |")
    for file in options.files:
        documents = sample(file, options.megabytes)
        size = sum(len(text.encode()) for text in documents) / 1e6
        own = dict(peers)
        if options.rustbpe:
            import rustbpe

            trained = rustbpe.Tokenizer()
            trained.train_from_iterator(iter(documents), min(len(vocabulary["model"]["vocab"]), 20000), pattern=GPT2)
            own["rustbpe"] = trained.encode
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, pathlib.Path(file).name)
            lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents)
            path.write_text("".join(lines), encoding="utf-8")
            command = [options.sai, "--tokenizer", options.tokenizer, "--pattern", "gpt2", "--threads", "1", "--json"]
            rounds = []
            for _ in range(options.rounds):
                ours = json.loads(subprocess.run([*command, path], check=True, capture_output=True).stdout)
                rounds.append((ours, {name: timed(encode, documents) for name, encode in own.items()}))
        name = pathlib.Path(file).stem
        for kind in ("cold", "warm"):
            seconds = statistics.median(ours[f"{kind}_s"] for ours, _ in rounds)
            print(f"| {name}, {size:.1f} MB | sai, {kind} | {size / seconds:.1f} | | | |")
        for peer in own:
            seconds = statistics.median(found[peer][0] for _, found in rounds)
            ratios = [
                statistics.median(found[peer][0] / ours[f"{kind}_s"] for ours, found in rounds)
                for kind in ("cold", "warm")
            ]
            same = all(found[peer][2] == ours["sha256"] for ours, found in rounds)
            verdict = "its own" if peer == "rustbpe" else "equal" if same else "DIFFER"
            print(f"| | {peer} | {size / seconds:.2f} | {ratios[0]:.0f} × | {ratios[1]:.0f} × | {verdict} |")


if __name__ == "__main__":
    main()
