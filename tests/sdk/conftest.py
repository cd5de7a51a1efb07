"""One `waybill up` for the whole run: the real gateway, scheduler, workers, models, database and chain."""

import json
import os
import shutil
import subprocess
import tempfile

import openai
import pytest

WAYBILL = os.environ.get("WAYBILL_BIN", "waybill")


@pytest.fixture(scope="session")
def network():
    """Starts `waybill up --json` and yields its one line."""
    folder = tempfile.mkdtemp(prefix="waybill-sdk-")
    process = subprocess.Popen(
        [WAYBILL, "up", "--json", "--port", "0", "--data-dir", folder],
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line, "waybill up ended before it was ready"
    yield json.loads(line)
    process.terminate()
    assert process.wait(timeout=60) == 0, "waybill up did not stop cleanly on SIGTERM"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def client(network):
    return openai.OpenAI(base_url=network["gateway"] + "/v1", api_key=network["api_key"], max_retries=0)


@pytest.fixture(scope="session")
def chat_model(network):
    return next(m["id"] for m in network["models"] if m["kind"] == "chat")


@pytest.fixture(scope="session")
def embed_model(network):
    return next(m["id"] for m in network["models"] if m["kind"] == "embed")
