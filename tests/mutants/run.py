#!/usr/bin/env python3
"""Runs every mutant of some crates against their tests: one build, one test process for each mutant and test.

    cargo install --locked cargo-mutants
    tests/mutants/run.py build cordon-accounts cordon-auth cordon-server   # the instrumented copy and its tests
    tests/mutants/run.py cover cordon-accounts                             # which test reaches which mutant
    tests/mutants/run.py test cordon-accounts [part of a path ...]         # switch them on, one by one
    tests/mutants/run.py report [part of a path ...]

Files are kept in $CORDON_MUTANTS (default: target/mutants-run); $CORDON_MUTANTS_JOBS processes run at a time (4).
The target folder ($CORDON_MUTANTS_TARGET, default: in there) must serve nothing else: cargo gives the test programs
of two copies of the sources the same names, and a program without switches catches nothing. results.json keeps what
was caught, so `test` asks again only about survivors.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(os.environ.get("CORDON_MUTANTS", ROOT / "target/mutants-run"))
TREE = WORK / "tree"
FOLDERS = {"cordon-accounts": "accounts", "cordon-auth": "auth-service", "cordon-server": "server"}
# A property test that fails has done its work: the smallest example is for people.
QUIET = {"PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_FAILURE_PERSISTENCE": "off"}
ON = re.compile(r"mutant_switch::on\((\d+)\)( \{)?")


def run(command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def load(name, default=None):
    path = WORK / name
    return json.loads(path.read_text()) if path.exists() else default


def store(name, value):
    temporary = WORK / (name + ".new")
    temporary.write_text(json.dumps(value))
    temporary.replace(WORK / name)


def copy_tree():
    """The sources as git knows them, as they stand in this folder."""
    files = run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True).stdout.split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, TREE / name
        if not source.exists() or name.startswith("tests/mutants/"):
            continue
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime and "/src/" in name:
            continue
        text = source.read_bytes()
        if name.endswith("Cargo.toml") and name.split("/")[0] in FOLDERS.values():
            # The lints judge what people write.
            text = text.replace(b"[lints]\nworkspace = true\n", b"")
        if not target.exists() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)


def build(packages):
    WORK.mkdir(parents=True, exist_ok=True)
    copy_tree()
    tool = run(["cargo", "build", "--quiet", "--message-format=json", "--manifest-path", ROOT / "tests/mutants/Cargo.toml"],
               capture_output=True, env={**os.environ, "CARGO_TARGET_DIR": str(WORK / "tool")})
    tool = [json.loads(line) for line in tool.stdout.splitlines()]
    tool = next(line["executable"] for line in tool if line.get("executable"))
    chosen = [flag for package in packages for flag in ("-p", package)]
    listed = run(["cargo", "mutants", "--list", "--json", *chosen], cwd=ROOT, capture_output=True).stdout
    if (WORK / "list.json").exists() and (WORK / "list.json").read_text() != listed:
        (WORK / "refused.json").unlink(missing_ok=True)
    (WORK / "list.json").write_text(listed)
    refused = load("refused.json", {"mutants": [], "constant": []})
    while True:
        store("refused.json", refused)
        run([tool, WORK / "list.json", ROOT, TREE, WORK / "placed.json", WORK / "refused.json"])
        binaries, errors = compile_tests(chosen)
        if binaries is not None:
            store("binaries.json", binaries)
            placed = load("placed.json")
            print(dict(collections.Counter(one["state"] for one in placed)))
            return
        constant = {name for error in errors for name in re.findall(r"cannot call non-const .*?(\w+)(?:::<.*>)?` in", error["message"])}
        blamed = {blame(error) for error in errors if "cannot call non-const" not in error["message"]} - {None}
        print(f"{len(errors)} errors, {len(blamed)} mutants left out, {len(constant)} functions stay constant", flush=True)
        if blamed <= set(refused["mutants"]) and constant <= set(refused["constant"]):
            sys.exit("the build fails for another reason:\n" + "\n".join(error["rendered"] for error in errors[:5]))
        refused = {"mutants": sorted(blamed.union(refused["mutants"])), "constant": sorted(constant.union(refused["constant"]))}


def compile_tests(chosen):
    command = ["cargo", "test", "--profile", os.environ.get("CORDON_MUTANTS_PROFILE", "mutants"), "--tests", "--lib", "--no-run", "--message-format=json", *chosen]
    done = subprocess.run(command, cwd=TREE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "CARGO_TARGET_DIR": os.environ.get("CORDON_MUTANTS_TARGET", str(WORK / "target"))})
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0:
        return {f"{one['package_id'].split('#')[0].rsplit('/', 1)[1]}:{one['target']['name']}": one["executable"]
                for one in messages if one.get("executable") and one["profile"]["test"]}, []
    errors = [one["message"] for one in messages if one.get("reason") == "compiler-message"]
    return None, [error for error in errors if error["level"] == "error" and error["spans"]] or sys.exit(done.stderr[-3000:])


def blame(error):
    """The mutant whose text the compiler refuses: the innermost branch that holds the place."""
    spans = [span for span in error["spans"] if span["is_primary"]] or error["spans"]
    span = spans[0]
    while span.get("expansion"):
        span = span["expansion"]["span"]
    text = (TREE / span["file_name"]).read_bytes().decode()
    start = len((TREE / span["file_name"]).read_bytes()[: span["byte_start"]].decode())
    best = None
    for found in ON.finditer(text):
        if not found.group(2):
            if start - 400 < found.start() < start + 400 and best is None:
                best = (10**9, int(found.group(1)))
            continue
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        if found.start() <= start < at and (best is None or at - found.start() < best[0]):
            best = (at - found.start(), int(found.group(1)))
    if best is None:
        before = [found for found in ON.finditer(text) if found.start() < start]
        return int(before[-1].group(1)) if before else None
    return best[1]


def tests_of(package):
    binaries = load("binaries.json")
    folder = FOLDERS[package]
    for name, binary in sorted(binaries.items()):
        if name.split(":")[0] != folder:
            continue
        listed = run([binary, "--list", "--format", "terse"], capture_output=True, cwd=TREE / folder).stdout
        for line in listed.splitlines():
            if line.endswith(": test"):
                yield name, binary, line.removesuffix(": test")


def once(binary, test, folder, extra, limit):
    """Passed, failed or late, and the seconds it took."""
    began = time.monotonic()
    process = subprocess.Popen([binary, "--exact", test], cwd=TREE / folder, env={**os.environ, **QUIET, **extra},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return "late", time.monotonic() - began
    return "passed" if code == 0 else "failed", time.monotonic() - began


def cover(package, jobs):
    folder, tests = FOLDERS[package], []

    def one(named):
        name, binary, test = named
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place) / "reached"
            end, seconds = once(binary, test, folder, {"CORDON_REACHED": str(path)}, 300)
            reached = sorted({int(line) for line in path.read_text().split()}) if path.exists() else []
        if end != "passed":
            print(f"{name} {test}: {end} without a mutant, left out", flush=True)
        return {"name": name, "binary": binary, "test": test, "seconds": seconds, "reached": reached, "ok": end == "passed"}

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tests = [one for one in pool.map(one, tests_of(package)) if one["ok"]]
    store(f"cover-{folder}.json", tests)
    reached = {number for test in tests for number in test["reached"]}
    print(f"{package}: {len(tests)} tests, {sum(t['seconds'] for t in tests):.1f} s, reach {len(reached)} mutants")


def test(package, parts, jobs):
    folder = FOLDERS[package]
    results = load("results.json", {})
    mutants = [one for one in load("placed.json") if one["state"] == "switched" and one["file"].startswith(folder + "/")
               and (not parts or any(part in one["name"] for part in parts))
               and results.get(one["name"], {}).get("end") not in ("failed", "late")]
    reaching = collections.defaultdict(list)
    for entry in sorted(load(f"cover-{folder}.json"), key=lambda entry: entry["seconds"]):
        for number in entry["reached"]:
            reaching[number].append(entry)
    lock, done, began = threading.Lock(), [0], time.monotonic()

    def one(mutant):
        result = {"end": "missed", "tests": len(reaching[mutant["id"]])}
        for entry in reaching[mutant["id"]]:
            limit = 10 + 10 * entry["seconds"]
            end, _ = once(entry["binary"], entry["test"], folder, {"CORDON_MUTANT": str(mutant["id"])}, limit)
            if end != "passed":
                result.update(end=end, by=f"{entry['name']} {entry['test']}")
                break
        with lock:
            results[mutant["name"]] = result
            done[0] += 1
            if result["end"] == "missed":
                print(f"missed ({result['tests']} tests reach it): {mutant['name']}", flush=True)
            if done[0] % 50 == 0:
                store("results.json", results)
                print(f"{done[0]} of {len(mutants)} after {time.monotonic() - began:.0f} s", flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, mutants))
    store("results.json", results)


def report(parts):
    results = load("results.json", {})
    rows = collections.defaultdict(collections.Counter)
    for one in load("placed.json"):
        if parts and not any(part in one["name"] for part in parts):
            continue
        end = results.get(one["name"], {}).get("end", "not run") if one["state"] == "switched" else one["state"]
        rows[one["file"]][end] += 1
        rows["~ all"][end] += 1
        if end in ("missed", "constant"):
            print(f"{end}: {one['name']}")
    columns = ["failed", "late", "unviable", "constant", "missed", "not run"]
    print(f"{'':50}" + "".join(f"{column:>14}" for column in columns))
    for file, row in sorted(rows.items()):
        print(f"{file:50}" + "".join(f"{row[column]:>14}" for column in columns))


def main():
    jobs = int(os.environ.get("CORDON_MUTANTS_JOBS", "4"))
    match sys.argv[1:]:
        case ["build", *packages]:
            build(packages)
        case ["cover", package]:
            cover(package, jobs)
        case ["test", package, *parts]:
            test(package, parts, jobs)
        case ["report", *parts]:
            report(parts)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
