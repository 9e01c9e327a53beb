#!/usr/bin/env python3
"""Families' models that sai converted, in llama.cpp: the small ones of crates/decoder/tests/families.

    cargo build -p sai-decoder --example without_vocabulary
    pip install xllamacpp numpy
    python peers/families.py target/debug/examples/without_vocabulary [NAME ...]

Each folder becomes a GGUF in f32 without a vocabulary, which llama.cpp is given token ids for, over its C interface, as the
wheel of `xllamacpp` has it built. Asked is that it reads the file, and that its likeliest tokens after the prompt are those
that transformers found, each after the same text. Printed are how many agree of 200; where one does not, how near the two
tokens were. llama.cpp rounds on the way, by up to some hundredths of a logit, so two tokens nearer than that may change
places. A model that sai does not convert is told with the fact.
"""

import ctypes
import glob
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

FAMILIES = pathlib.Path(__file__).resolve().parents[1] / "crates/decoder/tests/families"
# Logits apart by this are a matter of rounding.
ROUNDING = 0.05
CONTEXT = 256
# llama.cpp reads Phi-3's window and does not keep to it.
OTHERWISE = {"phi3"}
# It turns by LongRoPE's long factors from the first token on where the context that it was opened with is long, and
# transformers once the text is: from this token on both do.
FROM = {"phi3-longrope": 28}


class Parameters(ctypes.Structure):
    """Parameters of a model or of a context, passed on as the library made them: room for more than they take."""

    _fields_ = [("words", ctypes.c_uint32 * 256)]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
        ("pos", ctypes.c_void_p), ("n_seq_id", ctypes.c_void_p), ("seq_id", ctypes.c_void_p), ("logits", ctypes.c_void_p),
    ]


class Llama:
    def __init__(self):
        folder = pathlib.Path(importlib.util.find_spec("xllamacpp").origin).parent
        self.library = ctypes.CDLL(glob.glob(str(folder / "*.so"))[0], mode=ctypes.RTLD_GLOBAL)
        log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self.said, self.hear = [], log(lambda level, text, _: self.said.append(text.decode(errors="replace")))
        self.call("llama_log_set", None, self.hear, None)
        self.call("llama_backend_init", None)

    def call(self, name, result, *arguments):
        function = getattr(self.library, name)
        function.restype = result
        return function(*arguments)

    def greedy(self, path, prompt, wanted):
        """For each wanted token in turn, the likeliest after what comes before it, and by how much it leads that one."""
        pointer = ctypes.c_void_p
        parameters = self.call("llama_model_default_params", Parameters)
        model = self.call("llama_model_load_from_file", pointer, str(path).encode(), parameters)
        if not model:
            raise SystemExit("llama.cpp does not load it: " + " ".join(self.said[-4:]).strip())
        parameters = self.call("llama_context_default_params", Parameters)
        # n_ctx, n_batch and n_ubatch come first.
        parameters.words[0] = parameters.words[1] = parameters.words[2] = CONTEXT
        context = self.call("llama_init_from_model", pointer, pointer(model), parameters)
        vocabulary = self.call("llama_model_get_vocab", pointer, pointer(model))
        size = self.call("llama_vocab_n_tokens", ctypes.c_int32, pointer(vocabulary))
        found, tokens = [], list(prompt)
        for token in wanted:
            ids = (ctypes.c_int32 * len(tokens))(*tokens)
            batch = self.call("llama_batch_get_one", Batch, ids, ctypes.c_int32(len(tokens)))
            if self.call("llama_decode", ctypes.c_int32, pointer(context), batch) != 0:
                raise SystemExit("llama.cpp does not compute it")
            last = self.call("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), pointer(context), ctypes.c_int32(-1))
            logits = np.ctypeslib.as_array(last, (size,))
            best = int(logits.argmax())
            found.append((best, float(logits[best] - logits[token])))
            tokens = [token]
        return found


def check(converter, name, out):
    """What there is to say of a family, and whether it is as it should be."""
    ran = subprocess.run([converter, FAMILIES / name, out], capture_output=True, text=True)
    if ran.returncode != 0:
        return "not converted: " + ran.stderr.strip().split(": ", 1)[-1], True
    expected = json.loads((FAMILIES / name / "expected.json").read_text())
    found = Llama().greedy(out, expected["prompt"], expected["greedy"])
    pairs = list(zip(found, expected["greedy"]))[FROM.get(name, 0):]
    apart = [lead for (best, lead), token in pairs if best != token]
    line = f"{len(pairs) - len(apart)} of {len(pairs)} tokens"
    return line + (f", the others nearer than {max(apart):.3f}" if apart else ""), max(apart, default=0) <= ROUNDING


def main(converter, *names):
    wrong = []
    for name in names or sorted(folder.name for folder in FAMILIES.iterdir()):
        with tempfile.TemporaryDirectory() as home:
            # In a process of its own, which an assertion of llama.cpp's ends alone.
            child = os.fork()
            if child == 0:
                line, good = check(converter, name, pathlib.Path(home) / "m.gguf")
                print(f"{name}: {line}", flush=True)
                os._exit(0 if good else 1)
            if os.waitpid(child, 0)[1] != 0 and name not in OTHERWISE:
                print(f"{name}: WRONG", flush=True)
                wrong.append(name)
    return f"differ: {', '.join(wrong)}" if wrong else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
