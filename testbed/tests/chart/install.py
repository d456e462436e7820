"""Lints a chart with Helm, installs it into a pretend cluster, and holds what comes there against
the schemas of Kubernetes.

    install.py CHART VALUES-AS-JSON...

For each set of values it prints one JSON object: `kinds`, what was installed; `problems`, what
Helm or the schemas say against it. The pretend cluster answers on loopback as an API server would
that has nothing yet, and takes all that it is given.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("HELM_DRIVER") != "memory":
    # Releases are remembered by the process, not as secrets of the cluster; Helm reads this as the
    # process begins.
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "HELM_DRIVER": "memory"})

import helm_sdkpy
import kubernetes_validate
import yaml

SCHEMAS = ["1.27", "1.32", "1.37"]
WARNING = 2
RESOURCES = {
    "api/v1": {"services": "Service", "configmaps": "ConfigMap", "secrets": "Secret"},
    "apis/apps/v1": {"statefulsets": "StatefulSet", "deployments": "Deployment"},
    "apis/policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}


def group(path):
    return path.removeprefix("apis/").removeprefix("api/")


def discovery():
    """What an API server says of itself, by path."""
    said = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups = []
    for path, resources in RESOURCES.items():
        listed = [
            {"name": name, "kind": kind, "namespaced": True, "verbs": ["create", "get"]}
            for name, kind in resources.items()
        ]
        said["/" + path] = {
            "kind": "APIResourceList",
            "groupVersion": group(path),
            "resources": listed,
        }
        if path.startswith("apis/"):
            version = {"groupVersion": group(path), "version": "v1"}
            name = group(path).split("/")[0]
            groups.append({"name": name, "versions": [version], "preferredVersion": version})
    said["/apis"] = {"kind": "APIGroupList", "groups": groups}
    return said


class Cluster(BaseHTTPRequestHandler):
    """Has nothing, takes everything."""

    protocol_version = "HTTP/1.1"
    DISCOVERY = discovery()
    NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}

    def say(self, code, body):
        encoded = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def do_GET(self):
        known = self.DISCOVERY.get(self.path.split("?")[0])
        self.say(200 if known else 404, known or {**self.NOT_FOUND, "code": 404})

    def do_POST(self):
        taken = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append(taken)
        self.say(201, taken)

    def log_message(self, *_):
        pass


async def install(chart, values, cluster, directory):
    """What Helm says against the chart, and what it installs."""
    address = f"http://127.0.0.1:{cluster.server_port}"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "pretend", "cluster": {"server": address}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "pretend", "user": "nobody"}}],
        "current-context": "here",
    }
    path = os.path.join(directory, "kubeconfig")
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(kubeconfig, file)
    configuration = helm_sdkpy.Configuration(namespace="default", kubeconfig=path)
    linted = await helm_sdkpy.Lint(configuration).run(chart)
    problems = [
        f"helm lint: {message}"
        for message in linted["Messages"] or []
        if message["Severity"] >= WARNING
    ] + [f"helm lint: {error}" for error in linted["Errors"] or []]
    await helm_sdkpy.Install(configuration).run("mesh", chart, values=values, wait=False)
    return problems


def against_schemas(resource):
    """What the schemas say against one resource."""
    for version in SCHEMAS:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = "/".join(str(step) for step in error.path)
            yield f"Kubernetes {version}: {resource['kind']}: {where}: {error.message}"


def check(chart, values):
    cluster = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    cluster.taken = []
    threading.Thread(target=cluster.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        try:
            problems = asyncio.run(install(chart, values, cluster, directory))
        except helm_sdkpy.HelmError as error:
            problems = [f"helm: {error}"]
    for resource in cluster.taken:
        problems += against_schemas(resource)
    return {"kinds": sorted(one["kind"] for one in cluster.taken), "problems": problems}


if __name__ == "__main__":
    for values in sys.argv[2:]:
        print(json.dumps(check(sys.argv[1], json.loads(values))))
