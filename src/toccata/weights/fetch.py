"""Fetches a public model from the hub, once: only the files needed, whole, checked, and going on where it stopped.

The few that lie elsewhere are fetched from there in the same way.

What the hub's library keeps in its cache is shared with it: a file lies in ``blobs`` under its hash, and a commit's
folder links to it. This module fills ``blobs`` itself, because the library begins a file of gigabytes anew each time.
"""

import errno
import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from toccata.errors import InputError, ToccataError, WeightsError
from toccata.version import __version__
from toccata.weights import catalogue, store
from toccata.weights.catalogue import Public
from toccata.weights.convert import convert_files, converts

Progress = Callable[[float, float], None]
_SHARD = re.compile(r"(model|pytorch_model)-\d+-of-(\d+)\.(safetensors|bin)")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WAIT = 30.0


@dataclass(frozen=True)
class _Remote:
    """A file on the hub: ``digest`` is its SHA-256, or, for a small one, git's hash of it.

    Of a file that lies elsewhere it is what the SHA-256 begins with.
    """

    name: str
    size: int
    digest: str

    @property
    def pickled(self) -> bool:
        return converts(Path(self.name))


@dataclass(frozen=True)
class _Source:
    """One commit of a model at a hub, and where it lies in the cache."""

    model: Public
    commit: str
    endpoint: str | None

    @property
    def blobs(self) -> Path:
        return store.place(self.model) / "blobs"

    @property
    def folder(self) -> Path:
        return store.place(self.model) / "snapshots" / self.commit

    def part(self, file: _Remote) -> Path:
        return self.blobs / f"{file.digest}.toccata.incomplete"

    def url(self, file: _Remote) -> str:
        if self.model.url:
            return _elsewhere(self.model, self.endpoint)
        return _library().hf_hub_url(self.model.name, file.name, revision=self.commit, endpoint=self.endpoint)


def fetch(name: str, progress: Progress | None = None, endpoint: str | None = None) -> Path:
    """The folder of the public model ``name``, with its weights as safetensors; fetched unless it is here already.

    ``progress`` is called with (bytes here, bytes in all); ``endpoint`` is another hub than the library's own. Raises
    ``InputError`` for a name that is not public, ``WeightsError`` where the hub cannot be reached or does not give it,
    the disk is full, or what arrives is not what the hub announced. What has arrived by then is kept for the next try.
    """
    model = catalogue.get(name)
    if found := store.fetched(model):
        return found.folder
    utils = _library().utils
    with _explained(model):
        store.place(model).mkdir(parents=True, exist_ok=True)
        with utils.WeakFileLock(store.place(model) / "toccata.lock"):
            found = store.fetched(model) or _fetch(model, progress or (lambda *_: None), endpoint)
    return found.folder


def _fetch(model: Public, progress: Progress, endpoint: str | None) -> store.Fetched:
    commit, files = _announced(model, endpoint) if model.url else _needed(model, endpoint)
    source = _Source(model, commit, endpoint)
    source.blobs.mkdir(exist_ok=True)
    _check_room(source, files)
    total, before, arrived = sum(file.size for file in files), 0, []
    for file in files:
        arrived.append(_arrive(source, file, lambda here, done=before: progress(done + here, total)))
        before += file.size
    folder, made = source.folder, tuple(arrived)
    if any(file.pickled for file in files):
        made_of = [folder / file.name for file in files]
        folder = store.place(model) / "toccata" / commit
        made = tuple(
            store.File(path.name, path.stat().st_size, _sha256(path)) for path in convert_files(made_of, folder)
        )
    found = store.Fetched(model.name, commit, folder, made, tuple(arrived))
    store.remember(model, found)
    return found


def _arrive(source: "_Source", file: _Remote, tell: Callable[[int], None]) -> store.File:
    """Have ``file`` in the commit's folder, checked; from the cache where it is there, else from the hub."""
    linked, blob, part = source.folder / file.name, source.blobs / file.digest, source.part(file)
    path = next((path for path in (linked, blob) if path.exists()), part)
    if path == part:
        _receive(source, file, tell)
    arrived = _checked(path, file)
    if path == part:
        part.replace(blob)
    if path != linked:
        _link(source, file)
    tell(file.size)
    return arrived


def _needed(model: Public, endpoint: str | None) -> tuple[str, list[_Remote]]:
    """The newest commit and the files of it that toccata needs, weights last."""
    info = _library().HfApi(endpoint=endpoint).model_info(model.name, files_metadata=True, timeout=_WAIT)
    there = {each.rfilename: each for each in info.siblings or ()}
    names = [*model.files, *_weights(model, set(there))]
    missing = sorted(set(names) - there.keys())
    if missing:
        raise WeightsError(f"{model.page} has no {missing[0]} any more; look there whether the model has moved")
    files = [
        _Remote(name, there[name].size, there[name].lfs.sha256 if there[name].lfs else there[name].blob_id)
        for name in names
    ]
    if not all(_HASH.fullmatch(hash_ or "") for hash_ in [info.sha, *(file.digest for file in files)]):
        raise WeightsError(f"{model.page} does not say what its files hash to; try again later")
    return info.sha, files


def _announced(model: Public, endpoint: str | None) -> tuple[str, list[_Remote]]:
    """The one file of a model that does not lie on the hub; what is known of its hash stands for the commit."""
    with _answer(model, _elsewhere(model, endpoint)) as response:
        size = int(response.headers.get("Content-Length", 0))
    if not size:
        raise WeightsError(f"{model.page} does not say how large its file is; try again later")
    return model.digest, [_Remote(unquote(Path(urlsplit(model.url).path).name), size, model.digest)]


def _elsewhere(model: Public, endpoint: str | None) -> str:
    """Where the model's file lies, or would lie at a mirror of that place, the ``endpoint``."""
    parts = urlsplit(model.url)
    return model.url if endpoint is None else f"{endpoint.rstrip('/')}{parts.path}"


def _weights(model: Public, there: set[str]) -> list[str]:
    """Those that the catalogue describes; else safetensors, else pickles; whole, else in shards with their index."""
    if own := [name for name in sorted(there) if re.fullmatch(model.weights, name)]:
        return own
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        whole, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if whole in there:
            return [whole]
        shards = [found for name in sorted(there) if (found := _SHARD.fullmatch(name)) and found[1] == stem]
        if index in there and shards and len(shards) == int(shards[0][2]):
            return [index, *(found[0] for found in shards)]
    raise WeightsError(f"{model.page} has no weights that toccata can read; look there whether the model has moved")


def _check_room(source: _Source, files: list[_Remote]) -> None:
    """Raise ``WeightsError`` where the disk has less room than what is still to come, and to be made of it, needs."""
    coming = [f for f in files if not (source.folder / f.name).exists() and not (source.blobs / f.digest).exists()]
    need = sum(file.size - _size(source.part(file)) for file in coming)
    need += sum(file.size for file in files if file.pickled)
    free = shutil.disk_usage(source.blobs).free
    if need > free:
        raise WeightsError(
            f"{source.model.name} needs {_gigabytes(need)} more on the disk of {store.cache()}, which has"
            f" {_gigabytes(free)}; make room, or set TOCCATA_HOME to a folder with more"
        )


def _receive(source: _Source, file: _Remote, tell: Callable[[int], None]) -> None:
    """Fill ``file``'s part until it is whole; a broken connection is taken up again while every try adds something."""
    part = source.part(file)
    while (here := _size(part)) < file.size:
        try:
            _receive_more(source, file, here, tell)
        except Exception as error:
            if not _of_http(error) or _size(part) <= here:
                raise
        if _size(part) <= here:
            raise WeightsError(f"{source.model.page} sent less of {file.name} than it announced; try again later")


def _receive_more(source: _Source, file: _Remote, here: int, tell: Callable[[int], None]) -> None:
    with _answer(source.model, source.url(file), {"Range": f"bytes={here}-"}) as response:
        goes_on = response.status_code == 206
        with source.part(file).open("ab" if goes_on else "wb") as out:
            for chunk in response.iter_bytes():
                out.write(chunk)
                tell(out.tell())


@contextmanager
def _answer(model: Public, url: str, asked: dict[str, str] | None = None) -> Iterator[Any]:
    """What the server has to say to ``asked``, its body not read yet."""
    utils = _library().utils
    token = False if model.url else None  # the hub's token is nobody else's business
    headers = utils.build_hf_headers(token=token, library_name="toccata", library_version=__version__)
    headers |= {"Accept-Encoding": "identity", **(asked or {})}
    with utils.http_stream_backoff(
        "GET", url, headers=headers, timeout=_WAIT, retry_on_exceptions=(), retry_on_status_codes=(429,)
    ) as response:
        utils.hf_raise_for_status(response)
        yield response


def _checked(path: Path, file: _Remote) -> store.File:
    """The file at ``path``; removed, with a ``WeightsError``, where it is not what the hub announced."""
    sha256 = _sha256(path)
    found = _git_hash(path) if len(file.digest) == 40 else sha256[: len(file.digest)]
    if _size(path) != file.size or found != file.digest:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise WeightsError(f"{file.name} did not arrive as it was announced (its hash differs); pull it again")
    return store.File(file.name, file.size, sha256)


def _link(source: _Source, file: _Remote) -> None:
    """Let the hub's library put the file, which it finds in ``blobs``, into the commit's folder."""
    if source.model.url:
        source.folder.mkdir(parents=True, exist_ok=True)
        (source.blobs / file.digest).replace(source.folder / file.name)
        return
    linked = _library().hf_hub_download(
        source.model.name, file.name, revision=source.commit, cache_dir=store.cache(), endpoint=source.endpoint
    )
    if not Path(linked).is_symlink():
        (source.blobs / file.digest).unlink(missing_ok=True)  # a disk without links has a copy now


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _git_hash(path: Path) -> str:
    """What git calls a file, and the hub one that is too small for its store of large ones."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _library() -> Any:
    try:
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise InputError(
            "fetching public models needs the package huggingface_hub; run:"
            f" {sys.executable} -m pip install huggingface_hub"
        ) from None
    return huggingface_hub


@contextmanager
def _explained(model: Public) -> Iterator[None]:
    """Turn what can go wrong at the hub, on the way and on the disk into a ``WeightsError`` that says what to do."""
    errors = _library().errors
    who = urlsplit(model.url).netloc or "the hub"
    log_in = "log in with `hf auth login` (or set HF_TOKEN)"
    try:
        yield
        return
    except ToccataError:
        raise
    except errors.GatedRepoError:
        why = f"its publisher asks for consent first: give it at {model.page}, {log_in}, and pull again"
    except errors.RepositoryNotFoundError:
        why = f"the hub has no such model, or none that you may see; look at {model.page}, and {log_in} if it is there"
    except errors.OfflineModeIsEnabled:
        why = "HF_HUB_OFFLINE is set; unset it to fetch, or pull on another machine and copy its folder"
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refused = f"{who} refuses it ({status}); {log_in} anew, or wait for your access to {model.page}"
        why = (
            refused
            if status in (401, 403)
            else f"{who} answered with the error {status}; try again later, or look at {model.page}"
        )
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError):
            why = _unreachable(who, error)
        elif error.errno == errno.ENOSPC:
            why = f"the disk of {store.cache()} is full; make room and pull again, what has arrived is kept"
        else:
            why = f"{store.cache()} cannot be written ({error.strerror}); set TOCCATA_HOME to another folder"
    except Exception as error:
        if not _of_http(error):
            raise
        why = _unreachable(who, error)
    raise WeightsError(f"{model.name} was not fetched: {why}") from None


def _of_http(error: Exception) -> bool:
    """Whether the HTTP library below the hub's raised it: which one that is depends on the version."""
    return type(error).__module__.startswith(("httpx", "httpcore"))


def _unreachable(who: str, error: Exception) -> str:
    kind = type(error).__name__
    return f"{who} cannot be reached ({kind}); check the network and pull again, what has arrived is kept"
