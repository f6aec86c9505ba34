"""The page's server: answers that are the networks' own numbers, and requests that are wrong in every way."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data
from dipkernels.cli import main
from dipkernels.demo import layers, lessons
from dipkernels.demo.networks import Networks
from dipkernels.demo.playground import playground
from dipkernels.demo.scenes import SceneNetworks, drawn, scene

testclient = pytest.importorskip("starlette.testclient", reason='needs pip install "dipkernels[demo]" and httpx')

BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    made = Networks("digits", tmp_path_factory.mktemp("networks"))
    made.start()
    made.wait()
    assert [each.error for each in made.all.values()] == ["", ""]
    return made


@pytest.fixture
def page(networks: Networks) -> Iterator[Any]:
    from dipkernels.demo.server import application

    with testclient.TestClient(application(networks, ["localhost"]), base_url="http://localhost") as client:
        yield client


def drawings() -> tuple[Any, Any]:
    """Fifty real digits that no network saw, as the page sends them."""
    test = data.digits(8).test
    x = data.resample(test.x[:50], (layers.SIDE, layers.SIDE), "bicubic")
    return np.clip(255 * x[:, 0], 0, 255).astype(np.uint8), test.t[:50]


def numbers(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.mark.parametrize("network", ["lenet5", "mlp"])
def test_guesses_digits(page: Any, network: str) -> None:
    x, t = drawings()
    right = 0
    for image, digit in zip(x, t, strict=True):
        answer = page.post(f"/api/guess?network={network}", content=image.tobytes(), headers=BYTES).json()
        right += answer["first"] == digit
        assert answer["first"] != answer["second"]
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert answer["probabilities"][answer["first"]] == max(answer["probabilities"])
    assert right >= 46


def test_layers_are_those_of_the_network(page: Any, networks: Networks) -> None:
    x, _ = drawings()
    answer = page.post("/api/guess?network=lenet5", content=x[0].tobytes(), headers=BYTES).json()
    model = networks["lenet5"].model
    assert model is not None
    assert [each["name"] for each in answer["layers"]] == ["input", *(n for n in model.order if n != "flatten")]
    given = {each["name"]: numbers(each["values"]).reshape(each["shape"]) for each in answer["layers"]}
    model.forward(given["input"][None])
    for name, values in given.items():
        if name != "input":
            np.testing.assert_array_equal(values, model.value(name)[0])


@pytest.mark.parametrize(
    ("network", "layer", "unit"),
    [("lenet5", "conv1", 3 * 784 + 400), ("lenet5", "conv2", 1155), ("lenet5", "fc1", 7), ("lenet5", "fc3", 9),
     ("mlp", "fc1", 299), ("mlp", "fc3", 0)],
)  # fmt: skip
def test_a_sum_is_worked_out(page: Any, network: str, layer: str, unit: int) -> None:
    x, _ = drawings()
    url = f"/api/unit?network={network}&layer={layer}&unit={unit}"
    answer = page.post(url, content=x[1].tobytes(), headers=BYTES).json()
    total = numbers(answer["products"]).sum(dtype=np.float64) + answer["bias"]
    assert answer["sum"] == pytest.approx(total, abs=1e-5)
    expected = max(total, 0) if answer["activation"] == "relu" else total
    assert answer["value"] == pytest.approx(expected, abs=1e-4)
    if answer["kind"] == "conv":
        products = numbers(answer["patch"]) * numbers(answer["weights"])
        np.testing.assert_array_equal(numbers(answer["products"]), products)


def test_a_maximum_is_found_where_the_index_says(page: Any, networks: Networks) -> None:
    x, _ = drawings()
    for unit in (0, 391, 777, 1175):
        url = f"/api/unit?network=lenet5&layer=pool1&unit={unit}"
        answer = page.post(url, content=x[2].tobytes(), headers=BYTES).json()
        channel, row, column = answer["argmax"]
        top, left, height, width = answer["window"]
        assert top <= row < top + height
        assert left <= column < left + width
        model = networks["lenet5"].model
        assert model is not None
        assert model.value("conv1")[0, channel, row, column] == pytest.approx(answer["value"])
        assert numbers(answer["patch"]).max() == pytest.approx(answer["value"])


def test_receptive_fields_are_those_of_the_summary(networks: Networks) -> None:
    from dipkernels.nn.summary import receptive_fields

    model = networks["lenet5"].model
    assert model is not None
    for name in ("conv1", "pool1", "conv2", "pool2"):
        assert tuple(layers.field_of(model, name, 0, 0)[2:]) == receptive_fields(model)[name]
    assert layers.field_of(model, "pool2", 4, 4) == [16, 16, 16, 16]


def test_networks_are_kept_and_damaged_ones_made_anew(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    again = Networks("digits", networks.folder)
    monkeypatch.setattr("dipkernels.train.fit", lambda *_, **__: pytest.fail("trained again"))
    again.start()
    again.wait()
    for name, each in again.all.items():
        assert each.model is not None
        state = networks[name].model
        assert state is not None
        for key, value in each.model.state.items():
            np.testing.assert_array_equal(value, state.state[key])


def test_a_training_that_fails_is_said(tmp_path: Path) -> None:
    broken = Networks(str(tmp_path), tmp_path)
    broken.start()
    broken.wait()
    assert all("idx" in each.error or "train-images" in each.error for each in broken.all.values())


def test_files_are_served_by_name_alone(page: Any) -> None:
    assert "<h1>" in page.get("/").text
    for name in (
        "page.js",
        "draw.js",
        "ask.js",
        "dom.js",
        "colours.js",
        "convolution.js",
        "descent.js",
        "playground.js",
        "style.css",
    ):
        answer = page.get(f"/{name}")
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    for path in (
        "/../pyproject.toml",
        "/%2e%2e/server.py",
        "/server.py",
        "/static/page.js",
        "/index.html",
        "//etc/passwd",
    ):
        assert page.get(path).status_code == 404


def test_wrong_requests_are_told_so(page: Any) -> None:
    ink = np.full(layers.SIDE**2, 200, np.uint8).tobytes()

    def post(url: str, content: bytes = ink, **headers: str) -> Any:
        answer = page.post(url, content=content, headers={**BYTES, **headers})
        return answer.status_code, answer.json()["error"]

    assert post("/api/guess?network=lenet5", ink[:-1]) == (400, "a drawing must have 196 × 196 bytes, got 38415")
    assert post("/api/guess?network=lenet5", ink + b"x")[0] == 413
    assert post("/api/guess?network=vgg") == (400, "network must be one of lenet5, mlp, got 'vgg'")
    assert post("/api/guess")[0] == 400
    assert post("/api/guess?network=mlp", bytes(layers.SIDE**2)) == (400, "there is no ink yet")
    assert post("/api/guess?network=mlp", **{"Content-Type": "text/plain"})[0] == 415
    assert post("/api/guess?network=mlp", Origin="http://elsewhere.example")[0] == 403
    assert post("/api/unit?network=lenet5&layer=conv9&unit=0")[1].startswith("layer must be one of input, conv1")
    assert post("/api/unit?network=lenet5&layer=fc3&unit=10") == (400, "fc3 has units from 0 to 9, got 10")
    for unit in ("-1", "1e3", "", "٣", "9" * 12):
        assert post(f"/api/unit?network=lenet5&layer=fc3&unit={unit}")[0] == 400
    assert page.get("/api/guess").status_code == 405
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 400
    for body in (b"", b"[]", b"{", b"\xff", b'{"size": 1e400}', b'{"size": true}', b"[" * 3000):
        answer = page.post("/api/convolution", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert page.post("/api/descent", json={"function": "x" * 5000}).status_code == 413


def test_five_hundred_random_requests_leave_it_serving(page: Any) -> None:
    rng = np.random.default_rng(0)
    paths = [
        "/",
        "/api/guess",
        "/api/unit",
        "/api/convolution",
        "/api/descent",
        "/api/playground",
        "/api/scene",
        "/api/state",
        "/x",
        "/api/../draw.js",
    ]
    types = ["application/octet-stream", "application/json", "text/plain", "", "application/json; charset=utf-16"]
    queries = [
        "",
        "?network=lenet5",
        "?network=lenet5&layer=conv1&unit=99999",
        "?network=%00&layer=%ff",
        "?unit=" + "1" * 300,
    ]
    values = [0, -1, 3, 1e308, None, "7", [], {}, True, 10**30, float("nan")]
    names = [
        "size",
        "kernel",
        "stride",
        "padding",
        "dilation",
        "filters",
        "channels",
        "function",
        "rate",
        "steps",
        "x",
        "y",
        "scene",
        "score",
        "overlap",
        "objects",
    ]
    for _ in range(500):
        kind = rng.integers(3)
        if kind == 0:
            body = rng.bytes(int(rng.choice([0, 1, 100, layers.SIDE**2, layers.SIDE**2 + 5])))
        else:
            body = json.dumps({n: values[rng.integers(len(values))] for n in rng.choice(names, 7)}).encode()
        answer = page.request(
            rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD"]), rng.choice(paths) + rng.choice(queries), content=body,
            headers={"Content-Type": rng.choice(types), "Host": rng.choice(["localhost", "localhost:80", "x"])},
        )  # fmt: skip
        assert answer.status_code < 500
    assert page.get("/api/state").json()["networks"][0]["ready"]


def test_the_convolution_lesson_has_the_operator_s_numbers() -> None:
    lecture = {"size": 32, "kernel": 5, "stride": 1, "padding": 0, "dilation": 1, "channels": 3, "filters": 6}
    answer = lessons.convolution(lecture)
    assert (answer["out"], answer["weights of a filter"], answer["weights with biases"]) == (28, 75, 456)
    assert answer["starts"][:2] == [0, 1]
    refused = lessons.convolution({**lecture, "size": 8, "kernel": 3, "stride": 2})
    assert not refused["fits"]
    assert "no whole number" in refused["error"]
    rng, seen = np.random.default_rng(1), 0
    for _ in range(200):
        given = {name: int(rng.integers(least, most + 1)) for name, (least, most) in lessons._LIMITS.items()}
        answer = lessons.convolution(given)
        for change in answer.get("remedies", []):
            assert lessons.convolution({**given, **change})["fits"]
            seen += 1
    assert seen > 100


@pytest.mark.parametrize("function", lessons.FUNCTIONS)
def test_descents_end_lower_or_say_that_they_diverge(function: str) -> None:
    given = {"function": function, "rate": 0.1, "steps": 200, "x": -1.2, "y": 1.5}
    answer = lessons.descent(given)
    assert numbers(answer["grid"]).shape == (answer["size"] ** 2,)
    f = lessons.FUNCTIONS[function][1]
    for each in answer["paths"]:
        assert each["path"][0] == pytest.approx([-1.2, 1.5])
        assert each["diverged"] or each["value"] <= float(f(-1.2, 1.5)) + 1e-6
    wild = lessons.descent({**given, "function": "valley", "rate": 5})
    assert wild["paths"][0]["diverged"]


PLAY = {"points": "xor", "activation": "tanh", "depth": 1, "width": 8, "epochs": 200, "count": 100, "noise": 0,
        "rate": 0.1, "seed": 0}  # fmt: skip


@pytest.mark.parametrize("name", data.TOYS)
def test_the_playground_learns(name: str) -> None:
    answer = playground({**PLAY, "points": name, "depth": 2, "width": 16, "epochs": 400})
    assert answer["train_accuracy"] > 0.95
    assert answer["validation_accuracy"] > 0.9
    assert [each["epoch"] for each in answer["frames"]] == sorted({each["epoch"] for each in answer["frames"]})
    assert (answer["frames"][0]["epoch"], answer["frames"][-1]["epoch"]) == (0, 400)
    losses = numbers(answer["curves"]["validation"])
    assert losses.argmin() == answer["best"] - 1
    plane = numbers(answer["frames"][-1]["plane"]).reshape(answer["size"], answer["size"])
    places = numbers(answer["train"]["places"]).reshape(-1, 2)
    cells = np.rint((places + answer["half"]) / (2 * answer["half"]) * (answer["size"] - 1)).astype(int)
    seen = plane[cells[:, 1], cells[:, 0]] > 0.5  # the plane's rows are the second coordinate
    assert (seen == np.array(answer["train"]["classes"])).mean() > 0.85


def test_a_perceptron_cannot_learn_xor_and_few_points_are_overfitted() -> None:
    assert playground({**PLAY, "depth": 0})["train_accuracy"] < 0.8
    few = playground({**PLAY, "points": "blobs", "count": 10, "noise": 0.6, "depth": 3, "width": 32, "epochs": 400})
    losses = numbers(few["curves"]["validation"])
    assert few["train_accuracy"] == 1
    assert losses[-1] > 1.5 * losses.min()
    assert few["best"] < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [({"points": "moons"}, "points must be one of blobs"), ({"activation": None}, "activation must be one of relu"),
     ({"depth": 4}, "depth must be a whole number from 0 to 3"), ({"width": 0}, "width"), ({"epochs": 401}, "epochs"),
     ({"count": 2.5}, "count"), ({"rate": "1"}, "rate must be a number"), ({"noise": -1}, "noise"),
     ({"seed": True}, "seed")],
)  # fmt: skip
def test_wrong_settings_of_the_playground(page: Any, change: dict[str, Any], message: str) -> None:
    answer = page.post("/api/playground", json={**PLAY, **change})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


SCENE = {"scene": 0, "score": 0.3, "overlap": 0.5}


def test_scenes_are_seen_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dipkernels.demo.scenes._EPOCHS", {"masks": 1, "boxes": 3})
    networks = SceneNetworks(tmp_path)
    first = scene(networks, SCENE)
    assert not first["ready"]
    assert 0 <= first["progress"] < 1
    networks.wait()
    answer = scene(networks, SCENE)
    assert numbers(answer["image"]).reshape(3, 64, 64).max() <= 1
    assert len(answer["mask"]) == 64 * 64
    assert answer["all_anchors"] == len(answer["anchors"]) * 16 * 16
    assert len(answer["proposals"]) == 40
    (whole,) = networks.boxes.detect(networks.images[:1], score=0.3)  # type: ignore[index]
    np.testing.assert_allclose([row["box"] for row in answer["after"]], whole.boxes, atol=0.01)
    assert len(answer["before"]) >= len(answer["after"])
    none = scene(networks, {**SCENE, "score": 1.0})
    assert none["before"] == none["after"] == []
    mine = scene(networks, {**SCENE, "objects": [{"kind": "disc", "x": 20, "y": 30, "side": 18, "hue": 0.2}]})
    assert mine["image"] != answer["image"]
    again = SceneNetworks(tmp_path)  # reads what was kept
    again.wait()
    assert scene(again, SCENE) == answer
    (tmp_path / "scenes-masks.safetensors").write_bytes(b"damaged")
    anew = SceneNetworks(tmp_path)
    anew.wait()
    assert anew.error == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scene": 60}, "scene"),
        ({"score": 2}, "score"),
        ({"overlap": "a"}, "overlap"),
        ({"objects": 3}, "objects must be a list"),
        ({"objects": [{}] * 9}, "up to 8"),
        ({"objects": [{"kind": "cat"}]}, "must have a kind"),
        ({"objects": [{"kind": "disc", "x": -1, "y": 3, "side": 18, "hue": 0}]}, "x"),
        ({"objects": [{"kind": "disc", "x": 1, "y": 3, "side": 50, "hue": 0}]}, "side"),
    ],
)
def test_wrong_scenes(page: Any, change: dict[str, Any], message: str) -> None:
    answer = page.post("/api/scene", json={**SCENE, **change})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_drawn_objects_are_where_they_were_put() -> None:
    empty, image = drawn([]), drawn([{"kind": "square", "x": 40, "y": 10, "side": 12, "hue": 0.0}])
    changed = np.abs(image - empty).max(0) > 0.2
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], rows[-1]) == pytest.approx((5, 14), abs=1.5)
    assert (columns[0], columns[-1]) == pytest.approx((35, 44), abs=1.5)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--data", "/nowhere", "--no-browser"]) == 2
    assert "--data must be digits" in capsys.readouterr().err
    assert main(["demo", "--port", "70000"]) == 2
    assert "at most 65535" in capsys.readouterr().err
    assert main(["demo", "--port", "-1"]) == 2
