#!/usr/bin/env python3
"""Run the interop scenarios, each one file in `scenarios/`.

  run.py                          all scenarios against Cordon
  run.py nsc                      those whose name contains `nsc`
  run.py --broker nats-server     the same against a stock server: shows that the
                                  scenarios themselves are right

Prints `ok` or `FAIL` and the evidence for each scenario. Exits with 1 when one
fails or a peer is missing (`install_peers.py` installs them). Scenarios that
need nsc are skipped, and say so, when there is no nsc ($CORDON_NSC, or in PATH);
with `--require-all` that is a failure too.
"""

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
from harness.check import Failure, redact  # noqa: E402
from harness.context import Context  # noqa: E402
from harness.peers import OPTIONAL, Peers  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="run only scenarios whose name contains one of these")
    parser.add_argument("--broker", choices=("cordon", "nats-server"), default="cordon")
    parser.add_argument("--cordon", type=Path, help="the cordon binary (default: target/release, then target/debug)")
    parser.add_argument("--list", action="store_true", help="only list the scenarios")
    parser.add_argument("--require-all", action="store_true", help="a missing optional peer is a failure, not a skip")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the scenarios")
    return parser.parse_args()


def find_cordon(given):
    """The binary to test, as an absolute path, or None."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent.parent / "target")
    candidates = [given] if given else [target / "release" / "cordon", target / "debug" / "cordon"]
    return next((path.resolve() for path in candidates if path.is_file()), None)


def load(names):
    """The scenario modules in order of name: each has TITLE in its docstring, PEERS, BROKERS and run()."""
    modules = []
    for file in sorted((HERE / "scenarios").glob("*.py")):
        if names and not any(name in file.stem for name in names):
            continue
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    return modules


def missing_peers(modules, peers):
    """The peers that some scenario needs and that are not there."""
    needed = {"openssl", "nats-server"} | {peer for module in modules for peer in module.PEERS}
    return {peer for peer in needed if peers.version(peer) is None}


def skip(modules, absent):
    """Name each scenario that an optional peer keeps from running; return the others."""
    chosen = []
    for module in modules:
        lacking = sorted(absent & set(module.PEERS))
        if lacking:
            why = ", ".join(f"no {peer} ({OPTIONAL[peer]})" for peer in lacking)
            print(f"SKIPPED  {module.__name__}: skipped: {why}")
        else:
            chosen.append(module)
    return chosen


def run_one(module, peers, options, cordon):
    """Run a scenario in a folder of its own; True when it passed."""
    with ScenarioFolder(module.__name__, options.keep) as folder:
        context = Context(Path(folder), peers, options.broker, cordon)
        started = time.monotonic()
        problem = None
        try:
            module.run(context)
        except Failure as failure:
            problem = str(failure)
        except Exception:  # a defect of the scenario: reported as a failure, the others still run
            problem = traceback.format_exc()
        finally:
            context.close()
        report(module, context, time.monotonic() - started, problem, folder if options.keep else None)
        return problem is None


class ScenarioFolder:
    """A temporary folder that may outlive its use."""

    def __init__(self, name, keep):
        self.folder = tempfile.mkdtemp(prefix=f"{name}-")
        self.keep = keep

    def __enter__(self):
        return self.folder

    def __exit__(self, *_):
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def report(module, context, seconds, problem, folder):
    """Print the verdict with its evidence; for a failure also the ends of the logs."""
    title = module.__doc__.strip().splitlines()[0]
    print(f"{'FAIL' if problem else 'ok'}  {module.__name__}  ({seconds:.1f} s)  {title}")
    for line in context.evidence:
        print(f"      {line}")
    if problem:
        for line in redact(problem).splitlines()[:40]:
            print(f"    {line[:400]}")
        for process in context.processes:
            print(f"    -- last lines of {process.name}:")
            for line in process.lines()[-12:]:
                print(f"       {redact(line)[:300]}")
    if folder:
        print(f"      kept: {folder}")
    sys.stdout.flush()


def main():
    options = arguments()
    modules = load(options.names)
    if options.list:
        for module in modules:
            print(f"{module.__name__:44} {', '.join(module.BROKERS):22} {module.__doc__.strip().splitlines()[0]}")
        return 0
    peers = Peers()
    missing = missing_peers(modules, peers)
    optional = set() if options.require_all else set(OPTIONAL)
    for peer in sorted(missing - optional):
        remedy = OPTIONAL.get(peer, "run tests/interop/install_peers.py")
        print(f"FAIL  the peer `{peer}` is missing: {remedy}", file=sys.stderr)
    cordon = find_cordon(options.cordon)
    if options.broker == "cordon" and cordon is None:
        print("FAIL  no cordon binary: build it (`cargo build --release`) or name it with --cordon", file=sys.stderr)
    if missing - optional or not modules or (options.broker == "cordon" and cordon is None):
        return 1
    print(f"broker: {options.broker}{f' ({cordon})' if options.broker == 'cordon' else ''}")
    here = [module for module in modules if options.broker in module.BROKERS]
    chosen = skip(here, missing & optional)
    passed = sum(run_one(module, peers, options, cordon) for module in chosen)
    print(
        f"{passed} passed, {len(chosen) - passed} failed, {len(here) - len(chosen)} skipped for want of an optional peer, "
        f"{len(modules) - len(here)} not for {options.broker}"
    )
    return 0 if chosen and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
