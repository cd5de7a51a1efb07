"""The official `openai` package, unchanged apart from `base_url` and key, works against Waybill."""

import json
import os
import subprocess
import urllib.request

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


def test_models_are_listed(client, chat_model, embed_model):
    ids = {model.id for model in client.models.list()}
    assert {chat_model, embed_model} <= ids
    assert client.models.retrieve(chat_model).id == chat_model


def test_chat_answers(client, chat_model):
    answer = client.chat.completions.create(model=chat_model, messages=QUESTION, max_tokens=24, temperature=0)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.prompt_tokens > 5 and 0 < usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_streamed_chat_says_the_same_and_reports_usage(client, chat_model):
    plain = client.chat.completions.create(model=chat_model, messages=QUESTION, max_tokens=24, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model=chat_model,
            messages=QUESTION,
            max_tokens=24,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage
    assert all(c.usage is None for c in chunks[:-1])


def test_a_seed_makes_sampling_repeatable(client, chat_model):
    ask = lambda seed: client.chat.completions.create(
        model=chat_model, messages=QUESTION, max_tokens=24, temperature=1.2, seed=seed
    ).choices[0].message.content
    assert ask(7) == ask(7)
    assert len({ask(seed) for seed in range(4)}) > 1


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(client, chat_model):
    answer = client.chat.completions.create(
        model=chat_model, messages=QUESTION, max_tokens=24, temperature=0, stop=["Par"]
    ).choices[0]
    assert "Par" not in answer.message.content
    assert answer.finish_reason == "stop"


def test_embeddings_of_a_list_keep_its_order(client, embed_model):
    texts = ["a cat sits on the mat", "the feline rests on a rug", "interest rates rose in March"]
    # Without a format the package asks for base64 and decodes it.
    both = [client.embeddings.create(model=embed_model, input=texts, **f) for f in ({}, {"encoding_format": "float"})]
    vectors = [[item.embedding for item in answer.data] for answer in both]
    assert [item.index for item in both[0].data] == [0, 1, 2]
    for decoded, plain in zip(*vectors, strict=True):
        assert decoded == pytest.approx(plain)
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    cat, feline, rates = vectors[0]
    assert dot(cat, cat) == pytest.approx(1, abs=1e-3)
    assert dot(cat, feline) > dot(cat, rates) + 0.2
    assert both[0].usage.prompt_tokens > 10


def test_a_bad_key_is_an_authentication_error(network, chat_model):
    for key in ("sk-wrong", network["api_key"][:-1] + "x"):
        stranger = openai.OpenAI(base_url=network["gateway"] + "/v1", api_key=key, max_retries=0)
        with pytest.raises(openai.AuthenticationError) as raised:
            stranger.chat.completions.create(model=chat_model, messages=QUESTION)
        assert raised.value.code == "invalid_api_key"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no/such-model", messages=QUESTION)
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"temperature": -1},
        {"temperature": 1e9},
        {"max_tokens": -5},
        {"max_tokens": 10**30},
        {"top_p": 2},
        {"stop": ["a"] * 5},
        {"no_such_field": 1},
    ],
)
def test_a_malformed_body_is_a_bad_request(client, chat_model, body):
    request = {"messages": QUESTION, "model": chat_model} | body
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body=request, cast_to=object)
    assert raised.value.type == "invalid_request_error"
    assert raised.value.message


def test_exhausted_credit_is_insufficient_quota(network, chat_model):
    """A channel whose grant is smaller than one request."""
    poor = openai.OpenAI(base_url=network["gateway"] + "/v1", api_key=network["exhausted_api_key"], max_retries=0)
    with pytest.raises(openai.APIStatusError) as raised:
        poor.chat.completions.create(model=chat_model, messages=QUESTION, max_tokens=256)
    assert raised.value.status_code in (402, 429)
    assert raised.value.code == "insufficient_quota"


def test_every_answer_names_its_receipt_and_charge(client, chat_model):
    raw = client.chat.completions.with_raw_response.create(model=chat_model, messages=QUESTION, max_tokens=8)
    receipt = raw.headers["x-waybill-receipt"]
    assert int(raw.headers["x-waybill-charge-nc"]) > 0
    stored = client.get(f"/receipts/{receipt}", cast_to=object)
    assert int(stored["charge_nc"]) == int(raw.headers["x-waybill-charge-nc"])
