#!/usr/bin/env python3
"""Adapters between sai and the `peft` library, both ways.

    python peers/adapters.py target/release/sai [--base FOLDER --data chat.jsonl] [--steps N]

There: `sai finetune` trains an adapter with [lora] on a Hugging Face folder; `peft` loads what the run saved, beside the
folder's model, and its logits are held to those of the model that `sai merge` makes, and sai's merged weights to those of
`merge_and_unload`. Back: `peft` saves adapters with random values, of every matrix, with ranks and alphas by pattern and
scaled by the rank's root, and `sai merge` of each is held to `merge_and_unload`, in f32 and in bf16.

The base is the tests' tiny model where none is given. Printed is a table of the largest differences; the exit code is 1
where one is above its tolerance: 1e-3 for logits, as for all logits of sai in f32, 1e-6 of the largest weight for f32 weights,
and one step of bf16 for those. Needs `torch`, `transformers`, `peft` and `safetensors`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "crates/trainer/tests/fixtures/sft"
EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PATTERNS = {
    "of every matrix": {"r": 8, "lora_alpha": 16, "target_modules": EVERY},
    "by patterns, rank-stabilised": {
        "r": 4, "lora_alpha": 3, "target_modules": ["q_proj", "o_proj", "gate_proj", "down_proj"], "use_rslora": True,
        "rank_pattern": {r"layers\.0\.self_attn\.q_proj": 6, "down_proj": 5}, "alpha_pattern": {"gate_proj": 1},
    },
}
ROWS = []


def held(what, found, tolerance, unit=""):
    ROWS.append((what, found, tolerance, unit, found <= tolerance))


def model(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def weights(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        found |= load_file(path)
    return found


def unloaded(base, adapter, dtype):
    """What `merge_and_unload` makes, by the names of the folder."""
    return peft.PeftModel.from_pretrained(model(base, dtype), adapter).merge_and_unload().state_dict()


def apart(ours, theirs):
    """The largest difference of two sets of weights, in parts of the largest weight."""
    assert set(ours) <= set(theirs), set(ours) - set(theirs)
    pairs = [(ours[name].float(), theirs[name].float()) for name in ours]
    return max((a - b).abs().max().item() for a, b in pairs) / max(b.abs().max().item() for _, b in pairs)


def steps_apart(ours, theirs):
    """How many steps of bf16 two sets of weights lie apart at most: their bits are in order, but for the sign."""
    def order(x):
        bits = x.view(torch.int16).int()
        return torch.where(bits < 0, -(bits & 0x7FFF), bits)

    return max((order(ours[n]) - order(theirs[n])).abs().max().item() for n in ours)


def there(sai, base, data, steps, home):
    settings = {
        "data": str(data), "model.from": str(base), "steps": steps, "context": 128, "validation_share": 0,
        "batch_conversations": 4, "schedule.warmup_steps": 1, "lora.rank": 8, "optimizer.learning_rate": 5e-3,
    }
    (home / "r.toml").write_text("")
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    subprocess.run([sai, "finetune", home / "r.toml", *sets, "--out", home / "run", "-q"], check=True)
    adapter = home / "run/model"
    subprocess.run([sai, "merge", base, adapter, home / "merged", "-q"], check=True)
    ids = torch.randint(0, model(base).config.vocab_size, (2, 96), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = model(base)(ids).logits
        theirs = peft.PeftModel.from_pretrained(model(base), adapter)(ids).logits
        ours = model(home / "merged")(ids).logits
    print(f"after {steps} steps of sai the adapter changes logits by up to {(theirs - before).abs().max().item():.2f}")
    held("sai's adapter in peft: logits, against sai's merged model", (ours - theirs).abs().max().item(), 1e-3)
    held("sai's adapter: weights of sai merge, against merge_and_unload",
         apart(weights(home / "merged"), unloaded(base, adapter, torch.float32)), 1e-6, " of the largest")


def back(sai, base, home):
    half = home / "half"
    half.mkdir()
    for path in base.iterdir():
        if path.suffix != ".safetensors" and path.is_file():
            (half / path.name).write_bytes(path.read_bytes())
    save_file({name: w.bfloat16().contiguous() for name, w in weights(base).items()}, half / "model.safetensors",
              {"format": "pt"})
    for i, (name, settings) in enumerate(PATTERNS.items()):
        torch.manual_seed(i)
        made = peft.get_peft_model(model(base), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        for key, value in made.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(value, std=0.05)
        adapter = home / f"adapter-{i}"
        made.save_pretrained(adapter)
        for of, dtype in [(base, torch.float32), (half, torch.bfloat16)]:
            merged = home / f"merged-{i}-{dtype}"
            subprocess.run([sai, "merge", of, adapter, merged, "-q"], check=True)
            ours, theirs = weights(merged), unloaded(of, adapter, dtype)
            if dtype == torch.float32:
                held(f"peft's adapter {name}: weights of sai merge, f32", apart(ours, theirs), 1e-6, " of the largest")
            else:
                held(f"peft's adapter {name}: weights of sai merge, bf16", steps_apart(ours, theirs), 1, " steps of bf16")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sai", type=pathlib.Path, help="the command")
    parser.add_argument("--base", type=pathlib.Path, default=FIXTURES, help="a Hugging Face folder with a chat template")
    parser.add_argument("--data", type=pathlib.Path, default=FIXTURES / "chat.jsonl", help="conversations")
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        there(chosen.sai.resolve(), chosen.base, chosen.data, chosen.steps, home)
        back(chosen.sai.resolve(), chosen.base, home)
    print("| | difference | tolerance |\n| --- | --- | --- |")
    for what, found, tolerance, unit, _ in ROWS:
        print(f"| {what} | {found:.2g}{unit} | {tolerance:g} |")
    sys.exit(not all(ok for *_, ok in ROWS))


if __name__ == "__main__":
    main()
