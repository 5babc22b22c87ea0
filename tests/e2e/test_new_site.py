"""A reader of docs/instrumenting.md: a new Django project in a folder of its own, the package installed, the page's code pasted.

The project knows nothing of this checkout. What it records is what the monitoring sums up.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.monitoring.query.summary import summary
from config.embedded.process import free_port, stop
from tests.e2e.parts import ROOT
from tests.integration.instrument.provider import serving
from tests.integration.rollup.stored import roll_up
from tests.patience import eventually

PAGE = (ROOT / "docs" / "instrumenting.md").read_text()

AGENT = '''
"""What the reader has already: an index, a conversation, a rule for handoffs."""
from types import SimpleNamespace as Thing

index = Thing(query=lambda question, limit: [Thing(score=0.8), Thing(score=0.6)])
asked = [{"role": "user", "content": "Hello?"}]


def decide_handoff(response):
    return "angry_customer"


def conversation(number):
    return Thing(id=f"c-{number}", question="Where is my refund?", last_messages=lambda count: asked)


'''
VIEWS = """
from django.http import HttpResponse, StreamingHttpResponse
from shop import agent


def turn(request, number):
    return HttpResponse(agent.answer("acme", agent.conversation(number), "Where is my refund?"))


def stream(request):
    return StreamingHttpResponse(chunk.to_json() for chunk in agent.stream("acme", agent.asked))


async def claude(request):
    return HttpResponse((await agent.ask(agent.asked)).content[0].text)


def broken(request):
    agent.index.query = None
    return turn(request, 99)
"""
URLS = """
from django.urls import path
from shop import views

urlpatterns = [
    path("turn/<int:number>", views.turn), path("stream", views.stream), path("claude", views.claude), path("broken", views.broken),
]
"""


def blocks(section: str, language: str = "python") -> list[str]:
    """The code of a section of the page, by the number of its heading."""
    text = PAGE.partition(f"\n## {section}. ")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="session")  # tests that commit are run later than the others
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the package installed from a wheel; what it depends on is borrowed from this one."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("apps", "config", "workers"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    interpreter = folder / "env" / "bin" / "python"
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # Appended, and its own .pth files are not read: this checkout, installed there to be edited, is not found.
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    subprocess.run([*pip, "--python", str(interpreter), "install", *offline, str(wheel)], check=True)
    return interpreter


@pytest.fixture
def project(python: Path, tmp_path: Path, redis_url: str) -> Path:
    """`django-admin startproject`, and then the page, section by section. Its packages have the names that may clash."""
    run(python, tmp_path, "-m", "django", "startproject", "shop", ".")
    (install,) = blocks("1")
    for name, content in (("apps", install), ("apps/cart", ""), ("config", ""), ("workers", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(content)
    (tmp_path / "config" / "own.py").write_text("MINE = True\n")
    (settings,) = blocks("2")
    settings = re.sub(r"(\w+) = \[\n(.*?)\]", lambda given: given[0].replace("...", f"*{given[1]}"), settings, flags=re.DOTALL)
    settings = settings.replace("redis://127.0.0.1:6379/0", redis_url)
    with (tmp_path / "shop" / "settings.py").open("a") as file:
        file.write("\n" + settings)
    (tmp_path / "shop" / "agent.py").write_text(AGENT + "\n".join(blocks("3")))
    (tmp_path / "shop" / "views.py").write_text(VIEWS)
    (tmp_path / "shop" / "urls.py").write_text(URLS)
    return tmp_path


def environment(provider: str = "") -> dict[str, str]:
    """A new shell: nothing of the product's, nothing of the tests'."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    keys = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "PYTHONUNBUFFERED": "1"}
    return {**kept, **keys, "OPENAI_BASE_URL": f"{provider}/v1", "ANTHROPIC_BASE_URL": provider}


def run(python: Path, folder: Path, *command: str) -> str:
    done = subprocess.run([python, *command], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def served(python: Path, project: Path, provider: str, *server: str) -> Iterator[httpx.Client]:
    port = free_port()
    log = project / "agent.log"
    with log.open("ab") as out:
        running = subprocess.Popen(
            [python, "-m", *(part.format(port=port) for part in server)],
            cwd=project, env=environment(provider), stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            eventually("the site answers", lambda: answers(client), 60)
            yield client
    finally:
        stop(running, seconds=20)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 404
    except httpx.TransportError:
        return False


def lines(project: Path) -> list[dict[str, Any]]:
    said = (project / "agent.log").read_text().splitlines()
    return [json.loads(line) for line in said if line.startswith("{")]


GUNICORN = ("gunicorn", "shop.wsgi", "--bind", "127.0.0.1:{port}")
UVICORN = ("uvicorn", "shop.asgi:application", "--port", "{port}")


@pytest.mark.usefixtures("stores")
def test_who_follows_the_page_in_a_new_project_has_every_number(python: Path, project: Path) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    with serving() as provider:
        with served(python, project, provider, *GUNICORN) as client:
            assert [client.get(f"/turn/{number}").text for number in range(4)] == ["Hello."] * 4
            assert client.get("/stream", headers={"X-Request-ID": "r-1"}).text.count("chat.completion.chunk") == 4
            assert client.get("/broken").status_code == 500
        with served(python, project, provider, *UVICORN) as client:
            assert client.get("/turn/4").text == "Hello."
            assert client.get("/claude").text == "Hello."
            assert client.get("/stream", headers={"X-Request-ID": "r-2"}).text.count("chat.completion.chunk") == 4
    (shell,) = blocks("4", "sh")
    code = re.findall(r'shell -c "(.*?)"\n', shell, re.DOTALL)[0]
    run(python, project, "manage.py", "shell", "-c", code)

    assert roll_up((datetime.now(UTC) + timedelta(minutes=3)).timestamp())
    found = summary("acme", began, datetime.now(UTC) + timedelta(minutes=1))
    assert found["interactions"] == {"total": 7, "answered": 6}
    assert found["handoff"] == {"total_handoffs": 5, "handoff_rate": pytest.approx(5 / 6), "by_reason": {"angry_customer": 5}}
    assert (found["token_usage"]["prompt_tokens"], found["token_usage"]["completion_tokens"]) == (5 * 120, 5 * 30)
    assert found["cost"]["total_usd"] == pytest.approx(5 * 0.000475)
    assert found["knowledge_base"]["total_searches"] == 5
    assert found["knowledge_base"]["avg_results"] == 2
    assert found["knowledge_base"]["avg_similarity_score"] == pytest.approx(0.7)
    assert found["errors"]["by_operation"] == {"knowledge_search": 1, "no_answer": 1}
    assert {name: one["count"] for name, one in found["llm_calls"]["by_provider"].items()} == {"openai": 7, "anthropic": 1}
    assert found["response_time"]["sample_count"] == 6
    assert found["intents"][0]["intent"] == "refund"

    said = lines(project)
    streamed = {line.get("request_id") for line in said if "time_to_first_token_ms" in line}
    assert streamed == {"r-1", "r-2"}
    assert {line["event_type"] for line in said} == {
        "agent_interaction", "llm_api_call", "context_building", "handoff_decision", "knowledge_search", "error",
    }  # fmt: skip


def test_packages_of_the_sites_own_are_found_beside_the_products(python: Path, project: Path) -> None:
    code = "import apps.cart, apps.monitoring, config.own, workers; print(apps.monitoring.__file__, config.__file__, workers.__file__)"
    monitoring, *own = run(python, project, "manage.py", "shell", "--no-imports", "-c", code).split()
    assert monitoring.startswith(str(python.parents[1]))
    assert all(file.startswith(str(project)) for file in own)


def test_a_site_that_does_not_say_where_records_go_does_not_start_and_says_what_is_missing(python: Path, project: Path) -> None:
    with (project / "shop" / "settings.py").open("a") as file:
        file.write("\ndel MONITORING_REDIS_URL\n")
    done = subprocess.run(
        [python, "manage.py", "check"], cwd=project, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "MONITORING_REDIS_URL is not set" in done.stderr.splitlines()[-1]
