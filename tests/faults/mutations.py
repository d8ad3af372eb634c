"""Damaged files of every kind that is read: what readers say of them, in a process with limits.

`python tests/faults/mutations.py FILES [SEED]` tries so many files in processes of their own and
prints what went wrong: a crash, over `SECONDS` for a file, over `MEMORY` bytes more, or an error
that no reader documents.
"""

import io
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

SECONDS, MEMORY = 5, 2**30
MOST = 500  # files that a process tries
EXTREMES = (b"\0" * 8, b"\xff" * 8, (2**40).to_bytes(8, "little"), b"9" * 8)


def mutated(content, rng, other=b""):
    """A damaged copy of a file's content: bits, a part cut out, repeated or exchanged, a member."""
    if content[:2] == b"PK" and rng.random() < 0.6:
        return _with_member(content, rng)
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(content) + 1)
        end = min(at + rng.choice((1, 4, 64, 4096)), len(content))
        kind = rng.randrange(6)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at : rng.choice((end, len(content)))]
        elif kind == 2:
            content[at:at] = content[at:end] * rng.choice((1, 3))
        elif kind == 3:
            content[at : at + 8] = rng.choice(EXTREMES)
        elif kind == 4 and other:
            start = rng.randrange(len(other))
            content[at:end] = other[start : start + end - at]
        elif kind == 5:
            content[at:end] = rng.randbytes(end - at)
    return bytes(content)


def _with_member(content, rng):
    """An archive with one of its members damaged, renamed, doubled, left out, or exchanged."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name, other = rng.choice([*members]), rng.choice([*members])
    kind = rng.randrange(5)
    if kind == 0:
        members.pop(name)
    elif kind == 1:
        members[name], members[other] = members[other], members[name]
    elif kind == 2:
        members[rng.choice(("../" + name, "/" + name, name + "x"))] = members.pop(name)
    else:
        text = name.endswith(".json")
        changed = _with_value if text and rng.random() < 0.7 else mutated
        members[name] = changed(members[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((0, 0, 8))) as archive:
        for member, inner in members.items():
            archive.writestr(member, inner)
    return packed.getvalue()


def _with_value(content, rng):
    """A JSON text with one of its values exchanged."""
    whole = json.loads(content)
    places, waiting = [], [whole]
    while waiting:
        part = waiting.pop()
        for key in part if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            waiting += [part[key]] if isinstance(part[key], (dict, list)) else []
    part, key = rng.choice(places)
    values = (None, -1, 10**6, 10**12, 1e308, "", "x", [], {}, [[]], True, "Lambda", "os")
    part[key] = rng.choice(values)
    return json.dumps(whole).encode()


def try_files(folder, count, seed):
    """Damage files that `samples` has written to a folder, read them, and print what is wrong."""
    from readers import DOCUMENTED, READERS

    rng, scratch = random.Random(seed), pathlib.Path(folder, f"tried-{seed}")
    scratch.mkdir(exist_ok=True)
    samples = {name: pathlib.Path(folder, name).read_bytes() for name in READERS}
    for name, content in samples.items():  # what readers import is none of the time of a file
        whole = scratch / name
        whole.parent.mkdir(exist_ok=True)
        whole.write_bytes(content)
        READERS[name](whole)
    signal.signal(signal.SIGALRM, _too_long)
    for number in range(count):
        name = rng.choice([*READERS])
        path = scratch / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutated(samples[name], rng, samples[rng.choice([*READERS])]))
        # Where the process ends here, this line is the last.
        print(json.dumps({"number": number, "name": name}), flush=True)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        signal.alarm(SECONDS)
        try:
            READERS[name](path)
        except DOCUMENTED as error:
            wrong = "\n" in str(error) and f"more than a line: {str(error)[:200]!r}"
        except BaseException as error:
            wrong = f"{type(error).__name__}: {str(error)[:200]}"
        else:
            wrong = None
        signal.alarm(0)
        more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        seconds = time.monotonic() - start
        if more > MEMORY or seconds > SECONDS:
            wrong = f"{seconds:.1f} s, {more / 1e6:.0f} MB; {wrong}"
        if wrong:
            kept = pathlib.Path(folder, f"wrong-{seed}-{number}-{path.name}")
            kept.write_bytes(path.read_bytes())
            print(json.dumps({"wrong": wrong, "name": name, "kept": str(kept)}), flush=True)


class TooLong(BaseException):
    """A file took longer than it may."""


def _too_long(*_):
    raise TooLong(f"over {SECONDS} s")


def soak(folder, count, seed=0):
    """Try damaged files in processes of their own.

    Returns
    -------
    list of str
        What went wrong, a line each.
    """
    wrong = []
    for start in range(0, count, MOST):
        files = min(MOST, count - start)
        arguments = [sys.executable, __file__, "--try", str(folder), str(files), str(seed + start)]
        limit = 60 + files * SECONDS
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
        wrong += [
            f"{line['name']}: {line['wrong']}, {line['kept']}" for line in lines if "wrong" in line
        ]
        if done.returncode:
            last = lines[-1] if lines else {}
            wrong.append(f"ended with {done.returncode} at {last}: {done.stderr[-300:]}")
    return wrong


if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.getcwd()]
    if sys.argv[1] == "--try":
        try_files(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        from readers import write_samples

        place = tempfile.mkdtemp()
        write_samples(place)
        lines = soak(place, int(sys.argv[1]), *map(int, sys.argv[2:]))
        print(*lines, f"{sys.argv[1]} files, {len(lines)} failures", sep="\n")
        sys.exit(bool(lines))
