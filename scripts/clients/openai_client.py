"""OpenAI's own client against `sai serve`, in every mode: openai_client.py http://127.0.0.1:8042"""

import json
import sys

from openai import BadRequestError, NotFoundError, OpenAI

QUESTION = [{"role": "user", "content": "한국의 수도는 어디야?"}]
ANSWER = "서울이에요. 한국의 수도죠."

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
assert [model.id for model in client.models.list()] == ["mini"]

whole = client.chat.completions.create(
    model="mini", messages=QUESTION, temperature=0, logprobs=True, top_logprobs=2
)
assert whole.choices[0].message.content == ANSWER
assert len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens

text, usage = "", None
for chunk in client.chat.completions.create(
    model="mini", messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
):
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
    usage = chunk.usage or usage
assert (text, usage.total_tokens) == (ANSWER, whole.usage.total_tokens)

schema = {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False,
}
held = client.chat.completions.create(
    model="mini", messages=QUESTION, temperature=0,
    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
)
assert isinstance(json.loads(held.choices[0].message.content)["a"], int)

told = client.completions.create(
    model="mini", prompt=["서울은", "The"], max_tokens=5, temperature=0, logprobs=2, echo=True
)
assert [choice.logprobs.token_logprobs[0] for choice in told.choices] == [None, None]

vectors = client.embeddings.create(model="mini", input=["a", "b"])
assert len(vectors.data) == 2 and abs(sum(x * x for x in vectors.data[0].embedding) - 1) < 1e-5

response = client.responses.create(model="mini", input=QUESTION[0]["content"], temperature=0)
assert response.output_text == ANSWER
with client.responses.stream(model="mini", input=QUESTION[0]["content"], temperature=0) as stream:
    for _ in stream:
        pass
    assert stream.get_final_response().output_text == ANSWER

for error, wrong in [(BadRequestError, {"temperature": 9}), (NotFoundError, {"model": "none"})]:
    try:
        client.chat.completions.create(**{"model": "mini", "messages": QUESTION, **wrong})
        raise AssertionError(f"{wrong} was taken")
    except error:
        pass
print("openai: all modes")
