"""The Kubernetes files match their schemas, and all references in them resolve."""

import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.settings import setting_names

from nova_image_shim.settings import Settings

from .fronts import DEPLOY, GUIDE, environ_of

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed; run `make test-deploy`"
)

FOLDER, OPENSHIFT = DEPLOY / "kubernetes", DEPLOY / "openshift"
KUBECTL = shutil.which("kubectl")
RELEASES = ("1.30", "1.34")  # the oldest version whose preStop supports sleep, and a newer one
CUSTOM = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())

Manifest = dict[str, Any]


def written() -> list[Manifest]:
    """Return all objects as written in the files."""
    return [
        manifest
        for name in CUSTOM["resources"]
        for manifest in yaml.safe_load_all((FOLDER / name).read_text())
    ]


def rendered(folder: Path = FOLDER) -> list[Manifest]:
    """Return all objects as rendered by kustomize."""
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def named(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return objects by kind and name, which must be unique."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
    assert len(found) == len(manifests)
    return found


OBJECTS = named(written())
SHIM, MEMCACHED = (OBJECTS["Deployment", name] for name in ("nova-image-shim", "memcached"))


def pod(deployment: Manifest) -> Manifest:
    found: Manifest = deployment["spec"]["template"]
    return found


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("key", OBJECTS, ids="-".join)
def test_each_object_matches_its_schema(key: tuple[str, str], release: str) -> None:
    kubernetes_validate.validate(OBJECTS[key], release, strict=True)


def test_a_misspelt_field_is_detected() -> None:
    wrong = {**SHIM, "spec": {**SHIM["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[0], strict=True)


@pytest.mark.skipif(not KUBECTL, reason="kubectl 1.27 or later is not installed")
def test_kustomize_renders_them() -> None:
    objects = named(rendered())
    for manifest in objects.values():
        kubernetes_validate.validate(manifest, RELEASES[0], strict=True)
    others = {key for key in objects if key[0] != "ConfigMap"}
    assert OBJECTS.keys() == others
    ((_, generated),) = objects.keys() - others
    container = pod(objects["Deployment", "nova-image-shim"])["spec"]["containers"][0]
    assert {"name": generated} == container["envFrom"][0]["configMapRef"]
    (image,) = CUSTOM["images"]
    assert f"{image['newName']}:{image['newTag']}" == container["image"]


def test_the_kustomization_lists_every_file() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml"}
    generated = {name for each in CUSTOM["configMapGenerator"] for name in each["envs"]}
    assert files == {*CUSTOM["resources"], *generated}
    (image,) = CUSTOM["images"]
    assert image["name"] == pod(SHIM)["spec"]["containers"][0]["image"]


def test_identity_v2_is_routed_to_the_service_without_an_access_log() -> None:
    ingress = OBJECTS["Ingress", "nova-image-shim-identity-v2"]
    (rule,) = ingress["spec"]["rules"]
    ports = {port["name"] for port in OBJECTS["Service", "nova-image-shim"]["spec"]["ports"]}
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        assert "nova-image-shim" == service["name"]
        assert service["port"]["name"] in ports
    annotations = ingress["metadata"]["annotations"]
    assert "false" == annotations["nginx.ingress.kubernetes.io/enable-access-log"]


def selectors() -> Iterator[tuple[str, Manifest]]:
    for (kind, name), each in OBJECTS.items():
        spec = each.get("spec", {})
        if kind == "Service":
            yield f"{kind} {name}", spec["selector"]
        elif kind in {"Deployment", "PodDisruptionBudget"}:
            yield f"{kind} {name}", spec["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            yield f"{kind} {name}", spec["podSelector"]["matchLabels"]


@pytest.mark.parametrize(("who", "labels"), list(selectors()))
def test_each_selector_matches_the_pods_of_its_name(who: str, labels: Manifest) -> None:
    pods = [each for each in (SHIM, MEMCACHED) if labels == pod(each)["metadata"]["labels"]]
    assert [who.split()[1]] == [each["metadata"]["name"] for each in pods]


def ports(deployment: Manifest) -> dict[str, int]:
    (container,) = pod(deployment)["spec"]["containers"]
    return {port["name"]: port["containerPort"] for port in container["ports"]}


@pytest.mark.parametrize("deployment", [SHIM, MEMCACHED], ids=["shim", "memcached"])
def test_services_policies_and_probes_name_existing_ports(deployment: Manifest) -> None:
    name, known = deployment["metadata"]["name"], ports(deployment)
    (service,) = OBJECTS["Service", name]["spec"]["ports"]
    assert service["port"] == known[service["targetPort"]]
    allowed = [
        port for rule in OBJECTS["NetworkPolicy", name]["spec"]["ingress"] for port in rule["ports"]
    ]
    assert [{"port": only} for only in known] == allowed
    asked = [(probe.get("httpGet") or probe["tcpSocket"])["port"] for probe in probes(deployment)]
    assert {service["targetPort"]} == set(asked)


def probes(deployment: Manifest) -> list[Manifest]:
    (container,) = pod(deployment)["spec"]["containers"]
    return [container[key] for key in container if key.endswith("Probe")]


def test_draining_makes_a_pod_unready_but_kills_none() -> None:
    """`/healthcheck` returns 503 while a pod is drained, `/healthcheck/live` does not."""
    asked = [probe["httpGet"]["path"] for probe in probes(SHIM)]
    assert ["/healthcheck/live", "/healthcheck", "/healthcheck/live"] == asked


def test_calls_go_to_named_addresses_only() -> None:
    for each in OBJECTS.values():
        for rule in each["spec"].get("egress", []) if each["kind"] == "NetworkPolicy" else []:
            assert rule["to"]
            blocks = [peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer]
            assert all(ip_network(cidr).prefixlen >= 24 for cidr in blocks)


def test_the_metrics_port_can_be_scraped() -> None:
    bind = environ_of((FOLDER / "settings.env").read_text())["SHIM_METRICS_BIND"]
    assert f"0.0.0.0:{ports(SHIM)['metrics']}" == bind
    config = yaml.safe_load((DEPLOY / "prometheus" / "kubernetes.yml").read_text())
    (scrape,) = config["scrape_configs"]
    assert "nova-image-shim" == scrape["job_name"]  # as the alerts name it
    assert [CUSTOM["namespace"]] == scrape["kubernetes_sd_configs"][0]["namespaces"]["names"]
    assert "metrics" == scrape["relabel_configs"][0]["regex"]


def test_the_lowest_release_is_stated() -> None:
    lowest = f"Kubernetes {RELEASES[0]} or later"
    assert lowest in (FOLDER / "kustomization.yaml").read_text()
    assert lowest in GUIDE.read_text()


@pytest.mark.skipif(not KUBECTL, reason="kubectl 1.27 or later is not installed")
def test_no_pod_fixes_user_ids_on_openshift() -> None:
    pods = [each["spec"]["template"]["spec"] for each in rendered(OPENSHIFT) if has_pods(each)]
    assert [2, 2] == [len(pods), sum(spec["securityContext"]["runAsNonRoot"] for spec in pods)]
    assert "runAsUser" not in str(pods)
    assert "runAsGroup" not in str(pods)
    assert "runAsUser" not in str(SHIM)  # its image has a numeric user


def has_pods(manifest: Manifest) -> bool:
    return "template" in manifest.get("spec", {})


def test_at_least_one_of_several_replicas_always_runs() -> None:
    scaled = OBJECTS["HorizontalPodAutoscaler", "nova-image-shim"]["spec"]
    target = scaled["scaleTargetRef"]
    assert SHIM is OBJECTS[target["kind"], target["name"]]
    assert SHIM["apiVersion"] == target["apiVersion"]
    assert "replicas" not in SHIM["spec"]
    assert (2, 1) == (
        scaled["minReplicas"],
        OBJECTS["PodDisruptionBudget", "nova-image-shim"]["spec"]["minAvailable"],
    )


def test_the_settings_and_the_secret_are_sufficient() -> None:
    settings = environ_of((FOLDER / "settings.env").read_text())
    (container,) = pod(SHIM)["spec"]["containers"]
    config, secret = container["envFrom"]
    assert {"name": CUSTOM["configMapGenerator"][0]["name"]} == config["configMapRef"]
    assert {"name": "nova-image-shim-service-user"} == secret["secretRef"]
    assert [] == sorted(settings.keys() - set(setting_names()))
    assert not [name for name in settings if "PASSWORD" in name or "SECRET" in name]
    image = {"SHIM_BIND": "0.0.0.0:8774"}  # as the Containerfile sets
    login = {"OS_USERNAME": "user", "OS_PASSWORD": "secret"}
    read = Settings.from_environ({**image, **settings, **login})
    memcached = OBJECTS["Service", "memcached"]
    port = memcached["spec"]["ports"][0]["port"]
    assert ((memcached["metadata"]["name"], port),) == read.memcached_servers


@pytest.mark.parametrize("deployment", [SHIM, MEMCACHED], ids=["shim", "memcached"])
def test_pods_meet_the_namespaces_restrictions(deployment: Manifest) -> None:
    labels = OBJECTS["Namespace", CUSTOM["namespace"]]["metadata"]["labels"]
    assert "restricted" == labels["pod-security.kubernetes.io/enforce"]
    spec = pod(deployment)["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"]
    assert not spec["automountServiceAccountToken"]
    for container in spec["containers"]:
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert "memory" in container["resources"]["limits"]
