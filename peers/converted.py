"""Models that sai converted, in the programs of others: transformers and the gguf package.

    python peers/converted.py target/release/sai [SmolLM2-135M-Instruct.Q4_1.gguf]

Makes tiny random models (LLaMA 3's kind, Qwen2's, and a folder as 42dot publishes it), has sai turn each into a GGUF
and back into a folder, and asks that gguf's reader finds every tensor as it was, and that AutoModelForCausalLM and
AutoTokenizer make the same logits and ids of both folders. The real model goes from its GGUF to a folder, and is held
to what the gguf package expands. Needs torch, transformers, tokenizers and gguf.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers
from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[1]
VOCABULARIES = ROOT / "crates/tokenizer/tests/fixtures"
sys.path.insert(0, str(ROOT / "scripts/fixtures"))

import smollm2  # noqa: E402: it stands with the fixtures that it makes
TEXTS = [
    "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사 우리나라 만세.",
    "<|im_start|>user\n한국의 수도는 어디입니까? 1234 서울!<|im_end|>\n<|im_start|>assistant\n",
    "안녕<|endoftext|>하세요<|im_end|><|im_end|> ㅋㅋㅋ ㅠㅠ 뷁 쀍 힣  \n\n\t 끝 ",
    "2026년 3월 9일 오후 2시 5분, 3.14159 It's DON'T “quotes” 😀👨‍👩‍👧‍👦🇰🇷 日本語 <tool>도구</tool>",
]
SIZES = dict(
    vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, eos_token_id=0,
)


def spread(model):
    """Random weights, sharp enough that logits tell tokens apart."""
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        if p.dim() == 1:
            p.data = 0.4 * noise if name.endswith("bias") else 1 + 0.2 * noise
        else:
            p.data = noise * (3 if "embed" in name or "lm_head" in name else 1.3) / p.shape[1] ** 0.5
    return model


def make(home):
    """Folders of random models, by name."""
    torch.manual_seed(42)
    rope = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=64)
    models = {
        "llama3": transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES, head_dim=48, rope_parameters=rope)),
        "qwen2": transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(**SIZES, tie_word_embeddings=True, bos_token_id=None)),
        "42dot_LLM-SFT-1.3B": transformers.LlamaForCausalLM(
            transformers.LlamaConfig(**SIZES | dict(vocab_size=640, bos_token_id=0))),
    }
    for name, model in models.items():
        folder = home / name
        spread(model).to(torch.bfloat16 if name == "llama3" else torch.float32).save_pretrained(folder)
        if name.startswith("42dot"):
            for file in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"]:
                shutil.copy(VOCABULARIES / "fortytwo_dot" / file, folder)
        else:
            roles = {"eos_token": "<|endoftext|>"} | ({"bos_token": "<|im_start|>"} if name == "llama3" else {})
            transformers.PreTrainedTokenizerFast(
                tokenizer_file=str(VOCABULARIES / f"{name}.json"), **roles).save_pretrained(folder)
        yield name, folder


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def same(name, a, b):
    (model, words), (other, other_words) = a, b
    for text in TEXTS:
        ids = words(text, add_special_tokens=False).input_ids
        theirs = other_words(text, add_special_tokens=False).input_ids
        assert ids == theirs, f"{name}: ids of {text!r}: {ids} and {theirs}"
        assert words(text).input_ids == other_words(text).input_ids, f"{name}: ids with special tokens of {text!r}"
        assert words.decode(ids) == other_words.decode(ids), f"{name}: text of {ids}"
        logits, their_logits = (m(torch.tensor([ids])).logits for m in (model, other))
        assert torch.equal(logits, their_logits), f"{name}: logits differ by {(logits - their_logits).abs().max()}"
    for role in ["bos_token_id", "eos_token_id", "pad_token_id"]:
        assert getattr(words, role) == getattr(other_words, role), f"{name}: {role}"


def bytes_of(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def there_and_back(sai, home):
    for name, folder in make(home):
        file, back = home / f"{name}.gguf", home / "back" / name
        back.parent.mkdir(exist_ok=True)
        subprocess.run([sai, "-q", "convert", folder, file], check=True)
        subprocess.run([sai, "-q", "convert", file, back], check=True)
        reader = gguf.GGUFReader(file)
        tensors = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
        weights = bytes_of(folder)
        # Rows stay where they are in all but queries and keys; those are held to by the logits.
        for ours, theirs in [("token_embd.weight", "model.embed_tokens.weight"), ("output_norm.weight", "model.norm.weight"),
                             ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight")]:
            assert np.array_equal(tensors[ours], weights[theirs].float().numpy()), f"{name}: {ours}"
        fields = {key: field.contents() for key, field in reader.fields.items()}
        assert len(fields["tokenizer.ggml.tokens"]) == weights["model.embed_tokens.weight"].shape[0]
        again = bytes_of(back)
        assert weights.keys() == again.keys(), f"{name}: {weights.keys() ^ again.keys()}"
        for key, tensor in weights.items():
            assert tensor.dtype == again[key].dtype and torch.equal(tensor, again[key]), f"{name}: {key}"
        same(name, load(folder), load(back))
        print(f"{name}: tensors byte-equal, ids and logits equal, GGUF of {len(fields)} facts and {len(tensors)} tensors")


@torch.no_grad()
def real(sai, home, path):
    folder = home / "smollm2"
    subprocess.run([sai, "-q", "convert", path, folder, "--dtype", "f32"], check=True)
    model, words = load(folder)
    expected, expected_words = smollm2.expand(path)
    weights = expected.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), f"smollm2: {name}"
    for text in TEXTS:
        ids = words(text, add_special_tokens=False).input_ids
        assert ids == expected_words.encode(text).ids, f"smollm2: ids of {text!r}"
        assert torch.equal(*(m(torch.tensor([ids])).logits for m in (model, expected))), f"smollm2: logits of {text!r}"
    turns = words.apply_chat_template(smollm2.PROMPTS["korean"], tokenize=False, add_generation_prompt=True)
    assert turns == smollm2.chat(smollm2.PROMPTS["korean"]), turns
    print("smollm2: tensors, ids, logits and chat are those that the gguf package and transformers make of the file")


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    sai = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as home:
        there_and_back(sai, pathlib.Path(home))
        for path in sys.argv[2:]:
            real(sai, pathlib.Path(home), pathlib.Path(path).resolve())


main()
