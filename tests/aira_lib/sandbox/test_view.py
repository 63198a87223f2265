"""What candidates see of the file system, at each strength that closes it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aira_lib.sandbox.process as process
from aira_lib.sandbox import Outcome, run_candidate
from aira_lib.sandbox.launch import Isolation, closes_files
from aira_lib.sandbox.strength import works
from aira_lib.sandbox.view import finders, hidden, mounts, view_of
from aira_lib.study import CandidateLimits

LIMITS = CandidateLimits(seconds=60, memory_mb=512, output_kb=64, disk_mb=4, processes=12)
PROJECT = Path(process.__file__).parents[2]
CLOSED: tuple[Isolation, ...] = ("bubblewrap", "namespaces", "user namespaces")


@pytest.fixture(params=CLOSED)
def closed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Isolation:
    """Each strength with a closed view that this machine has."""
    if (request.param == "namespaces" and os.geteuid() != 0) or not works(request.param):
        pytest.skip(f"no {request.param} here")
    monkeypatch.setattr(process, "isolation", lambda: request.param)
    return request.param


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def planted() -> Iterator[list[Path]]:
    """A secret in the user's home and one in the project's folder."""
    paths = [folder / f".aira-secret-{os.getpid()}" for folder in (Path.home(), PROJECT)]
    for path in paths:
        path.write_text("planted")
    yield paths
    for path in paths:
        path.unlink()


def run(code: str, workdir: Path, **data: Path) -> Outcome:
    return run_candidate(code, workdir, LIMITS, readonly=data)


def test_secrets_are_out_of_reach(closed: Isolation, workdir: Path, planted: list[Path]) -> None:
    sibling = workdir.parent / "another-run" / "journal.jsonl"
    sibling.parent.mkdir()
    sibling.write_text("planted")
    for secret in (*planted, sibling):
        outcome = run(f"print(open({str(secret)!r}).read())", workdir)
        assert outcome.status == "error", secret
        assert "FileNotFoundError" in outcome.reason
        assert "planted" not in outcome.stdout_tail


def test_the_root_is_minimal(closed: Isolation, workdir: Path) -> None:
    code = "import os; print(os.listdir('/')); print(os.listdir('/etc')); print(os.listdir('/dev'))"
    outcome = run(code, workdir)
    root, etc, dev = (set(eval(line)) for line in outcome.stdout_tail.splitlines())
    tops = {Path(p).parts[1] for p in (sys.prefix, sys.base_prefix, str(workdir))}
    assert root <= tops | {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc", "nix"}
    assert etc <= {"alternatives", "group", "ld.so.cache", "localtime", "nsswitch.conf", "passwd"}
    assert dev == {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm"}


def test_folders_on_the_way_show_nothing_else(closed: Isolation, workdir: Path) -> None:
    outcome = run(f"import os; print(os.listdir({str(workdir.parent)!r}), os.listdir('.'))", workdir)
    assert outcome.stdout_tail == "['work'] ['candidate.py']\n"


@pytest.mark.parametrize(
    "target",
    [
        *("/x", "/etc/x", "/usr/lib/x", "/dev/x", "/etc/passwd", "../x"),
        *("/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj"),
        *(f"{sys.base_prefix}/lib/x", f"{sys.prefix}/lib/x"),
    ],
)
def test_only_the_work_directory_is_writable(closed: Isolation, workdir: Path, target: str) -> None:
    outcome = run(f"open('mine', 'w').write('1'); open({target!r}, 'a').write('1')", workdir)
    assert outcome.status == "error"
    assert "Read-only" in outcome.reason or "Permission denied" in outcome.reason, outcome.reason
    assert (workdir / "mine").read_text() == "1"
    assert Path(target).name != "x" or not (workdir / target).exists()


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.mknod('d', 0o060666, os.stat('/').st_dev)",
        "import ctypes, os; r = ctypes.CDLL(None).umount2(b'/usr/lib', 2); os._exit(0 if r == 0 else 9)",
        "import ctypes, os; r = ctypes.CDLL(None).mount(b'', b'/', None, 32, None); os._exit(0 if r == 0 else 9)",
        "import os; os.chroot('.')",
        "import os; print(os.listdir('/.old'))",
        "import os; print(os.listdir('/proc/1/root/work/..')); print(open('/proc/1/environ').read())",
        "import os; os.kill(1, 9); os.kill(1, 0); raise SystemExit(open('/proc/1/mem', 'rb').read(1))",
    ],
)
def test_there_is_no_way_back(closed: Isolation, workdir: Path, code: str) -> None:
    outcome = run(code, workdir)
    assert outcome.status == "error", outcome
    assert outcome.exit_code in (1, 9)


def test_no_capability_is_left(closed: Isolation, workdir: Path) -> None:
    code = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'CapBnd'))])"
    assert set(eval(run(code, workdir).stdout_tail)) == {"0" * 16}


def test_sockets_in_folders_are_not_seen(closed: Isolation, workdir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(workdir.parent / "s"))
        server.listen()
        outcome = run("import socket; socket.socket(socket.AF_UNIX).connect('../s')", workdir)
    assert "FileNotFoundError" in outcome.reason


def test_a_link_out_of_the_work_directory_leads_nowhere(closed: Isolation, workdir: Path) -> None:
    (workdir.parent / "secret").write_text("planted")
    outcome = run("import os; os.symlink('../secret', 'a'); print(open('a').read())", workdir)
    assert "FileNotFoundError" in outcome.reason


def test_this_project_cannot_be_imported(closed: Isolation, workdir: Path) -> None:
    outcome = run("import aira_lib.study", workdir)
    assert outcome.status == "error"
    assert "ModuleNotFoundError" in outcome.reason


def test_packages_and_multiprocessing_work(closed: Isolation, workdir: Path) -> None:
    code = (
        "import multiprocessing, tempfile, zoneinfo, numpy as np, torch\n"
        "lock = multiprocessing.Lock()\n"
        "with tempfile.TemporaryFile() as file: file.write(b'x')\n"
        "open('/dev/null', 'w').write('x'); assert len(open('/dev/urandom', 'rb').read(8)) == 8\n"
        "open('/dev/stdout', 'w').write('hello\\n')\n"
        "print(float(torch.tensor(np.arange(4.0)).sum()))"
    )
    limits = CandidateLimits(seconds=120, memory_mb=8_192, disk_mb=4, processes=32)
    outcome = run_candidate(code, workdir, limits)
    assert outcome.stdout_tail == "hello\n6.0\n", outcome


def test_data_is_read_and_not_changed(closed: Isolation, workdir: Path) -> None:
    source, single = workdir.parent / "source", workdir.parent / "one.csv"
    (source / "train").mkdir(parents=True)
    (source / "train" / "x.txt").write_text("seen")
    single.write_text("one")
    reading = "print(open('data/train/x.txt').read(), open('in.csv').read()); "
    for spoil in (
        "import os; os.chmod('data/train/x.txt', 0o666)",
        "open('data/train/x.txt', 'w')",
        "open('data/new', 'w')",
        "open('in.csv', 'w')",
        "import os; os.remove('in.csv')",
        "import shutil; shutil.rmtree('data')",
    ):
        outcome = run_candidate(reading + spoil, workdir, LIMITS, readonly={"data": source, "in.csv": single})
        assert outcome.stdout_tail == "seen one\n", outcome
        assert outcome.status == "error"
    assert (source / "train" / "x.txt").read_text() == "seen"
    assert [path.name for path in source.iterdir()] == ["train"]


def test_nothing_is_mounted_here_afterwards(closed: Isolation, workdir: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    run("print(1)", workdir, data=workdir.parent)
    assert Path("/proc/self/mountinfo").read_text() == before
    assert list((workdir / "data").iterdir()) == []


def test_a_user_without_privilege_has_the_view_too(tmp_path: Path) -> None:
    """The bootstrap needs the standard library alone, so a system Python serves where ours lies in root's home."""
    if os.geteuid() != 0 or not Path("/usr/bin/python3").exists():
        pytest.skip("only root can become another user")
    work = Path("/tmp") / f"aira-view-{os.getpid()}"
    work.mkdir()
    os.chown(work, 65534, 65534)
    try:
        told = subprocess.run(
            ["/usr/bin/python3", "-c", _AS_NOBODY, str(Path(process.__file__).parent), str(work)],
            capture_output=True, text=True, check=False, user=65534, group=65534, extra_groups=[], cwd="/",
        )  # fmt: skip
        if "unshare" in told.stdout:
            pytest.skip("user namespaces are refused to users without privilege")
    finally:
        for path in work.iterdir():
            path.unlink()
        work.rmdir()
    assert told.stdout.splitlines()[:1] == ["65534 ['mine'] True False"], told
    assert "exit 0" in told.stdout


_AS_NOBODY = """
import marshal, os, subprocess, sys
here, work = sys.argv[1:]
read, write = os.pipe()
code = "import os; open('mine', 'w'); e = os.path.exists; print(os.getuid(), os.listdir('.'), e('/usr'), e('/home'))"
seen = ("/lib", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local/lib")
view = {"readonly": [p for p in seen if os.path.exists(p)], "links": [], "hidden": [], "work": work,
        "data": [], "emptied": [], "devices": ["/dev/null"], "shared_memory_mb": 1}
plan = {"command": ["/usr/bin/python3", "-I", "-c", code], "environment": {}, "workdir": work, "limits": {},
        "isolation": "user namespaces", "filter": b"", "parent": os.getpid(), "report": write, "view": view}
source = SOURCE
words = ["/usr/bin/python3", "-I", "-S", "-c", source, "", marshal.dumps(plan).hex()]
child = subprocess.Popen(words, pass_fds=[write])
os.close(write)
print(open(read).readline(), flush=True)
child.kill()
""".replace("SOURCE", repr((Path(process.__file__).parent / "bootstrap.py").read_text()))


def test_of_a_prefix_that_is_the_project_only_the_environment_is_seen(tmp_path: Path) -> None:
    (tmp_path / "project" / "lib").mkdir(parents=True)
    (tmp_path / "project" / "secret").touch()
    view = view_of(tmp_path, {})
    assert not [path for path in view.readonly if PROJECT.is_relative_to(path)]
    assert not [path for path in view.readonly if Path.home().is_relative_to(path)]
    assert mounts((f"{tmp_path}/project/lib", f"{tmp_path}/project/none")) == ((f"{tmp_path}/project/lib",), ())


def test_mounts_follow_links_and_leave_out_what_lies_within(tmp_path: Path) -> None:
    (tmp_path / "real" / "lib").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    real, link = str(tmp_path / "real"), str(tmp_path / "link")
    assert mounts((f"{real}/lib", real)) == ((real,), ())
    assert mounts((link,)) == ((real,), ((link, real),))
    assert mounts((f"{link}/lib",)) == ((f"{real}/lib",), ((f"{link}/lib", f"{real}/lib"),))
    assert mounts((f"{link}/lib", link)) == ((real,), ((link, real),))


def test_an_installed_package_of_this_project_is_hidden() -> None:
    installed = Path("/env/lib/python3/site-packages/aira_lib")
    assert hidden(("/env/lib", "/usr/lib"), installed) == (str(installed),)
    assert hidden(("/env/lib", "/usr/lib"), Path("/home/me/aira/aira_lib")) == ()


def test_no_copy_of_a_hidden_package_is_seen(closed: Isolation, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the environment and one within another package; what they hold is gone, and what lies beside them not."""
    site = workdir.parent / "site"
    for place in (site / "secret_text", site / "other" / "third_party" / "secret_text", site / "near"):
        place.mkdir(parents=True)
        (place / "words.txt").write_text("told")
    (site / "other-1.dist-info").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site))
    code = f"import os; print(sorted(n for p, _, names in os.walk({str(site)!r}) for n in names))"
    seen = run_candidate(code, workdir, LIMITS)
    assert seen.stdout_tail.count("words.txt") == 3
    hidden_now = run_candidate(code, workdir, LIMITS, hides=("secret_text",))
    assert hidden_now.stdout_tail.count("words.txt") == 1, hidden_now


def test_packages_installed_into_a_folder_of_pythonpath_are_seen_and_a_checkout_there_is_not(
    closed: Isolation, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, checkout = workdir.parent / "site", workdir.parent / "checkout"
    (site / "pack-1.0.dist-info").mkdir(parents=True)
    checkout.mkdir()
    (site / "pack.py").write_text("word = 'seen'")
    (checkout / "private.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{checkout}:{site}:relative:")
    outcome = run("import pack, os; print(pack.word, os.environ['PYTHONPATH'])\nimport private", workdir)
    assert outcome.stdout_tail == f"seen {site}\n"
    assert "No module named 'private'" in outcome.reason


def test_a_hidden_folder_is_empty(closed: Isolation, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    monkeypatch.setattr("aira_lib.sandbox.view._PROJECT", Path(numpy.__file__).parent)
    outcome = run("import numpy; print(numpy.__file__, len(list(numpy.__path__)))\nimport numpy.linalg", workdir)
    assert outcome.stdout_tail == "None 1\n"
    assert "ModuleNotFoundError" in outcome.reason


def test_an_emptied_file_is_empty(closed: Isolation, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    path = os.path.realpath(Path(numpy.__file__).with_name("version.py"))
    assert os.path.getsize(path)
    monkeypatch.setattr("aira_lib.sandbox.view.finders", lambda folders: (path,))
    outcome = run(f"print(open({path!r}).read() == ''); open({path!r}, 'w').write('x')", workdir)
    assert outcome.stdout_tail == "True\n", outcome
    assert os.path.getsize(path)


def test_of_an_editable_installation_the_finder_of_this_project_is_emptied(tmp_path: Path) -> None:
    for name, maps in (("aira_discovery", "'aira_lib': '/x/aira_lib'"), ("other", "'other': '/x/other'")):
        (tmp_path / f"__editable__.{name}-1.0.pth").write_text(f"import __editable___{name}_finder; more()")
        (tmp_path / f"__editable___{name}_finder.py").write_text(f"MAPPING: dict[str, str] = {{{maps}}}\n")
    (tmp_path / "__editable__.path-1.0.pth").write_text("/x/aira_lib")
    (tmp_path / "__editable__.gone-1.0.pth").write_text("import __editable___gone_finder; more()")
    assert finders((str(tmp_path), str(tmp_path / "none"))) == (f"{tmp_path}/__editable__.aira_discovery-1.0.pth",)


def test_no_finder_is_imported_at_the_start(closed: Isolation, workdir: Path) -> None:
    code = "import sys; print([name for name in sys.modules if 'editable' in name and 'aira' in name])"
    assert run(code, workdir).stdout_tail == "[]\n"


def test_open_files_and_none_do_not_claim_a_view() -> None:
    assert [closes_files(each) for each in CLOSED] == [True] * 3
    assert not any(closes_files(each) for each in ("namespaces, open files", "user namespaces, open files", "none"))


def test_modules_archives_and_all_of_a_name_s_beginning_are_hidden(
    closed: Isolation, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = workdir.parent / "site"
    gone = (
        "secret_text.py", "secret_text-1.0-py3-none-any.whl", "secret_text-1.0.tar.gz", "secret_text.zip",
        "__pycache__/secret_text.cpython-311.pyc", "secret_s3/words.txt", "secret_s3/secret_text/words.txt",
        "deep/er/secret_text/words.txt",
    )  # fmt: skip
    kept = ("secret_text_of_others.py", "secret.txt", "no_secret_s3/words.txt", "secret_text.md")
    for name in (*gone, *kept):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("told")
    (site / "other-1.dist-info").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site))
    code = (
        f"import os; top = {str(site)!r}\n"
        "paths = [os.path.join(p, n) for p, _, names in os.walk(top) for n in names]\n"
        "print(sorted(os.path.relpath(p, top) for p in paths if open(p).read()))"
    )
    hides = ("secret_text", "secret_s*")
    assert set(kept) | set(gone) == set(eval(run_candidate(code, workdir, LIMITS).stdout_tail))
    assert set(kept) == set(eval(run_candidate(code, workdir, LIMITS, hides=hides).stdout_tail))
