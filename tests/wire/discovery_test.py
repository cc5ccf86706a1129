#!/usr/bin/env -S python3 -B
"""Has other people's clients discover a cluster of Larders: discovery_test.py LARDER

For each client three servers share a cluster file. While the client stores and reads, a fourth server
is added to the file, and then one of the first three is taken out and stopped. The client has to find
the one, leave the other alone, and must see no error and no wrong value on the way.

    pymemcache            its AWSElastiCacheHashClient, or, where it has none yet (Debian 12's 3.5), its
                          HashClient over the nodes that `config get cluster` names
    pylibmc               libmemcached, over the nodes that it reads from the reserved key
    memcached-elasticache of npm: does all of that by itself; used where NODE_PATH finds it

What is not installed is left out, and the test then counts as skipped; but for the last, which is no
package of Debian's.
"""

import importlib.util
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from larder_process import SKIPPED, Larder

PATIENCE_S = 30
POLL_S = 0.1
KEYS = 500
# Of a step: so many stores and as many reads.
STEP_KEYS = 25


def check(is_good, text):
    if not is_good:
        raise AssertionError(text)


def wait_for(what, is_done):
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        check(time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.02)


# --- Servers --------------------------------------------------------------------------------------


def ask(port, request, end):
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(request)
        reply = b""
        while not reply.endswith(end):
            received = connection.recv(65536)
            check(received, f"{port} closed after {reply}")
            reply += received
        return reply.decode()


def config_of(port):
    """What `config get cluster` answers: the version and the ports; nothing if there is none."""
    lines = ask(port, b"config get cluster\r\n", b"END\r\n").split("\r\n")
    if lines[0] == "END":
        return None
    head, value = lines[0], lines[1]
    check(head == f"CONFIG cluster 0 {len(value)}", f"{head} before {len(value)} bytes")
    version, nodes = value.splitlines()
    return int(version), {int(node.split("|")[2]) for node in nodes.split(" ")}


def commands_of(port):
    """How many keys the server was asked to store or read."""
    rows = dict(line.split(" ")[1:] for line in ask(port, b"stats\r\n", b"END\r\n").splitlines()
                if line.startswith("STAT ") and line.count(" ") == 2)
    return int(rows["cmd_get"]) + int(rows["cmd_set"])


class Cluster:
    """Servers that share a cluster file."""

    def __init__(self, program, folder):
        self._program = program
        self._file = pathlib.Path(folder) / "nodes"
        self._servers = {}
        self._listed = set()

    def start_server(self):
        server = Larder(self._program, "-t", "2", "--cluster-file", str(self._file))
        port = server.__enter__()
        self._servers[port] = server
        return port

    def stop_server(self, port):
        self._servers.pop(port).__exit__()

    def stop(self):
        for port in list(self._servers):
            self.stop_server(port)

    def publish(self, ports):
        """Returns the version, once every server tells these nodes and the same version."""
        before = config_of(next(iter(self._servers))) if self._listed else None
        next_file = self._file.with_suffix(".new")
        next_file.write_text("".join(f"127.0.0.1:{port}\n" for port in sorted(ports)))
        next_file.rename(self._file)
        self._listed = set(ports)
        configs = []

        def all_tell():
            configs[:] = [config_of(port) for port in self._servers]
            return all(config is not None and config[1] == self._listed for config in configs)

        wait_for("every server has the list", all_tell)
        versions = {config[0] for config in configs}
        check(len(versions) == 1, f"servers with one file have versions {versions}")
        version = versions.pop()
        check(before is None or version > before[0], f"version {version} after {before}")
        return version


# --- Clients --------------------------------------------------------------------------------------


class Python:
    """A client whose discovery is asked for between steps."""

    def __init__(self, port):
        self._port = port
        self._version = 0
        self._asked_at = 0.0
        self._client = None
        self.nodes = set()

    def step(self, keys):
        """Stores and reads the keys; returns how many of them were found."""
        if time.monotonic() - self._asked_at > POLL_S:
            self._asked_at = time.monotonic()
            version, nodes = self.discover(self._port)
            if version > self._version:
                self._client = self.connect(self._port, nodes)
                self._version, self.nodes = version, nodes
        for key in keys:
            check(self._client.set(key, f"value of {key}"), f"{key} is not stored")
        found = 0
        for key in keys:
            value = self._client.get(key)
            if isinstance(value, bytes):
                value = value.decode()
            check(value in (None, f"value of {key}"), f"{key} has the value {value}")
            found += value is not None
        return found

    def close(self):
        pass


class Pymemcache(Python):
    PACKAGE = "pymemcache"

    @staticmethod
    def discover(port):
        return config_of(port)

    @staticmethod
    def connect(port, nodes):
        options = {"timeout": PATIENCE_S, "default_noreply": False}
        try:
            from pymemcache.client.ext.aws_ec_client import AWSElastiCacheHashClient
        except ImportError:
            from pymemcache.client.hash import HashClient
            return HashClient([("127.0.0.1", node) for node in sorted(nodes)], **options)
        client = AWSElastiCacheHashClient(f"127.0.0.1:{port}", **options)
        found = {int(name.rsplit(":", 1)[1]) for name in client.clients}
        check(found == nodes, f"AWSElastiCacheHashClient finds {found}, not {nodes}")
        return client


class Pylibmc(Python):
    PACKAGE = "pylibmc"

    @staticmethod
    def discover(port):
        import pylibmc
        value = pylibmc.Client([f"127.0.0.1:{port}"]).get("AmazonElastiCache:cluster")
        if isinstance(value, bytes):
            value = value.decode()
        version, nodes = value.splitlines()
        return int(version), {int(node.split("|")[2]) for node in nodes.split(" ")}

    @staticmethod
    def connect(_, nodes):
        import pylibmc
        return pylibmc.Client([f"127.0.0.1:{node}" for node in sorted(nodes)],
                              behaviors={"ketama": True})


class Npm:
    """memcached-elasticache, in a process of its own: a line of keys in, a line of JSON out."""

    PACKAGE = "memcached-elasticache"
    PROGRAM = """
        const Client = require('memcached-elasticache');
        const [port, interval] = process.argv.slice(1);
        const client = new Client(`127.0.0.1:${port}`, {autoDiscoverInterval: Number(interval)});
        let nodes = [], failures = [];
        client.on('autoDiscover', (found) => { nodes = found; });
        client.on('autoDiscoverFailure', (error) => failures.push(String(error)));
        const call = (name, ...words) => new Promise((resolve, reject) =>
            client[name](...words, (error, got) => error ? reject(error) : resolve(got)));
        async function step(keys) {
          for (const key of keys) await call('set', key, `value of ${key}`, 0);
          const values = {};
          for (const key of keys) values[key] = await call('get', key);
          return {values, nodes, failures};
        }
        require('readline').createInterface({input: process.stdin}).on('line', async (line) => {
          const keys = line.split(' ').filter((key) => key);
          const reply = await step(keys).catch((error) => ({failures: [String(error)]}));
          console.log(JSON.stringify(reply));
        }).on('close', () => client.end());
    """

    def __init__(self, port):
        self.nodes = set()
        self._process = subprocess.Popen(
            ["node", "-e", self.PROGRAM, str(port), str(round(POLL_S * 1000))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self, keys):
        # Before it knows the cluster, it takes the one server for all of it.
        self._process.stdin.write((" ".join(keys) if self.nodes else "") + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        check(not reply["failures"], reply["failures"])
        self.nodes = {int(node.rsplit(":", 1)[1]) for node in reply["nodes"]}
        for key, value in reply["values"].items():
            check(value in (None, f"value of {key}"), f"{key} has the value {value}")
        return sum(value is not None for value in reply["values"].values())

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Traffic(threading.Thread):
    """Steps a client until it is told to stop, or something goes wrong."""

    def __init__(self, client):
        super().__init__()
        self._client = client
        self._is_stopping = threading.Event()
        self.steps = 0
        self.found = 0
        self.nodes = frozenset()
        self.error = None

    def run(self):
        try:
            while not self._is_stopping.is_set():
                first = self.steps * STEP_KEYS
                keys = [f"key{(first + i) % KEYS}" for i in range(STEP_KEYS)]
                self.found += self._client.step(keys)
                self.nodes = frozenset(self._client.nodes)
                self.steps += 1
        except Exception as error:  # Whatever a client library raises.
            self.error = error

    def wait_until(self, what, is_done):
        wait_for(what, lambda: self.error is not None or is_done())
        if self.error is not None:
            raise self.error

    def run_for(self, steps):
        until = self.steps + steps
        self.wait_until(f"{steps} more steps", lambda: self.steps >= until)

    def stop(self):
        self._is_stopping.set()
        self.join()
        if self.error is not None:
            raise self.error


# --- The test -------------------------------------------------------------------------------------


def run(kind, program):
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(program, folder)
        try:
            return run_on(kind, cluster)
        finally:
            cluster.stop()


def run_on(kind, cluster):
    ports = [cluster.start_server() for _ in range(3)]
    versions = [cluster.publish(ports)]
    client = kind(ports[1])
    traffic = Traffic(client)
    traffic.start()
    try:
        traffic.wait_until("the client finds three nodes", lambda: traffic.nodes == set(ports))
        traffic.run_for(KEYS // STEP_KEYS)
        for port in ports:
            check(commands_of(port) > 0, f"{port} of three is not used")

        added = cluster.start_server()
        versions.append(cluster.publish([*ports, added]))
        traffic.wait_until("the client finds the fourth node",
                           lambda: traffic.nodes == {*ports, added})
        traffic.run_for(KEYS // STEP_KEYS)
        check(commands_of(added) > 0, "the fourth node is not used")

        removed = ports[0]
        versions.append(cluster.publish([*ports[1:], added]))
        traffic.wait_until("the client leaves the removed node",
                           lambda: traffic.nodes == {*ports[1:], added})
        traffic.run_for(1)  # What was under way is over.
        before = commands_of(removed)
        traffic.run_for(KEYS // STEP_KEYS)
        check(commands_of(removed) == before, "the removed node is still used")
        cluster.stop_server(removed)
        traffic.run_for(KEYS // STEP_KEYS)
    finally:
        traffic.stop()
        client.close()
    check(traffic.found > 0, "nothing was ever found")
    return (f"3 nodes, 4, 3 in {traffic.steps * STEP_KEYS} stores and as many reads, {traffic.found} "
            f"hits, versions {versions}")


def has_python(name):
    return importlib.util.find_spec(name) is not None


def has_npm(name):
    try:
        return subprocess.run(["node", "-e", f"require('{name}')"], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    except FileNotFoundError:
        return False


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    kinds = [Pymemcache, Pylibmc, Npm]
    missing = [kind.PACKAGE for kind in (Pymemcache, Pylibmc) if not has_python(kind.PACKAGE)]
    failed = []
    for kind in kinds:
        name = kind.PACKAGE
        if kind is Npm and not has_npm(name):
            print(f"LEFT OUT: {name}, a package of npm, is not where NODE_PATH points", flush=True)
        elif name not in missing:
            try:
                print(f"passed   {name}: {run(kind, sys.argv[1])}", flush=True)
            except Exception as error:
                failed.append(name)
                print(f"FAILED   {name}: {error}", flush=True)
    for name in missing:
        print(f"SKIPPED: {name} is not installed (scripts/install-deps clients)", flush=True)
    if failed:
        return 1
    return SKIPPED if missing else 0


if __name__ == "__main__":
    sys.exit(main())
