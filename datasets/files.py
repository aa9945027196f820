"""Search for a data set's files: in a folder, in an official archive (never unpacked onto the disk), or by download."""

import contextlib
import hashlib
import socket
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sesemi import reading
from sesemi.errors import InputError
from sesemi.terminal import one_line

# Of a file, inside of an archive or beside it, and of a whole archive, unpacked.
_LARGEST_MEMBER_MIB, _LARGEST_ARCHIVE_MIB = 256, 1024
_MOST_MEMBERS, _LONGEST_HEADER = 10_000, 2**16
_PATIENCE_S = 30

Reader = Callable[[str], bytes]


@dataclass(frozen=True)
class Archive:
    """Official download.

    Args:
        file: Name of the file.
        url: Address of the download.
        digest: Checksum, by `algorithm`.
        algorithm: ``sha256`` or ``md5``, whichever its publishers or the common loaders state.
    """

    file: str
    url: str
    digest: str
    algorithm: str = "sha256"

    def is_official(self, path: Path) -> bool:
        """Return whether the file at `path` has the official checksum.

        Raises:
            OSError: It cannot be read, or is larger than such an archive is.
        """
        with reading.opened(path, _LARGEST_ARCHIVE_MIB) as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest() == self.digest


def places(folder: str) -> tuple[Path, ...]:
    """Return where a folder of the 2019 layout may lie, in the order of the search.

    The first is in ``datasets/`` of the working directory. In a checkout the second is beside this file; an installed
    package has none, because nobody should put files there.

    Args:
        folder: Name of the folder, such as ``cifar-10``.
    """
    here, code = Path.cwd() / "datasets", Path(__file__).parent
    is_checkout = (code.parent / "sesemi" / "__init__.py").is_file()
    return (here / folder, code / folder) if is_checkout and not _same(here, code) else (here / folder,)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def layout_of_2019(folder: str, names: Iterable[str]) -> Path:
    """Find a folder of the 2019 layout.

    Args:
        folder: Name of the folder, such as ``cifar-10``.
        names: Files and folders of which it holds at least one.

    Returns:
        The first of `places` that holds one of them. If there is none: the folder that a user should put them into,
        which is the last of `places`.
    """
    *others, last = places(folder)
    names = tuple(names)
    return next((place for place in others if any((place / name).exists() for name in names)), last)


def find(where: Path, official_folder: str, archive: Archive, names: tuple[str, ...]) -> tuple[Reader, str] | None:
    """Look for the files in a folder.

    Args:
        where: Folder with the files themselves (2019 layout), the official folder, or the official archive; or path of
            the archive itself.
        official_folder: Name of the folder that the official archive unpacks to.
        archive: Official archive.
        names: Names of the files needed.

    Returns:
        A function from a file's name to its bytes, and a line that says where they are; None if nothing is there.

    Raises:
        FileNotFoundError: If some of the files are there, but not all.
        ValueError: If the archive is damaged or lacks files.
    """
    if where.is_file():
        return _open_archive(where, archive, names)
    for folder in (where, where / official_folder):
        present = [name for name in names if (folder / name).is_file()]
        if len(present) == len(names):
            return (lambda name, folder=folder: _read(folder / name)), f"data: {folder}"
        if present:
            missing = [name for name in names if name not in present]
            raise FileNotFoundError(f"{folder}: {missing[0]} is missing beside {present[0]}; get {archive.url} again")
    if (where / archive.file).is_file():
        return _open_archive(where / archive.file, archive, names)
    return None


def _read(path: Path) -> bytes:
    try:
        return reading.content(path, _LARGEST_MEMBER_MIB)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; get the official one again") from error


def _open_archive(path: Path, archive: Archive, names: tuple[str, ...]) -> tuple[Reader, str]:
    try:
        official = archive.is_official(path)
        contents = dict(_wanted_members(path, set(names)))
    except (tarfile.TarError, OSError, EOFError, MemoryError, ValueError, ArithmeticError, zlib.error) as error:
        raise ValueError(f"{path}: not a readable archive ({one_line(error)}); get {archive.url} again") from error
    missing = [name for name in names if name not in contents]
    if missing:
        raise ValueError(f"{path}: {missing[0]} is missing inside; get {archive.url} again")
    note = "" if official else f" (not the official archive: its {archive.algorithm} differs)"
    return contents.pop, f"data: {path}{note}"


class _PlainMember(tarfile.TarInfo):
    """Member of an archive; long names and other headers before it are as long as such are, and files have no holes.

    The stock reader makes room for what such a header claims, before anybody sees it.
    """

    _HEADERS = (
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Return the member of a header's bytes.

        Raises:
            tarfile.TarError: A header before it claims more than 64 KiB, or it is a file with holes.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type == tarfile.GNUTYPE_SPARSE:
            cls._refuse_holes()
        if found.type in cls._HEADERS and found.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found

    @staticmethod
    def _refuse_holes(*_):
        raise tarfile.ReadError("a file with holes")

    # Holes that the other headers tell of.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_holes


def _wanted_members(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted regular files of a tar archive, read into memory: nothing is written, so nothing can escape."""
    with (
        reading.opened(path, _LARGEST_ARCHIVE_MIB) as file,
        tarfile.open(fileobj=file, mode="r|*", tarinfo=_PlainMember) as tar,
    ):
        for number, member in enumerate(tar):
            if number >= _MOST_MEMBERS or member.offset_data + member.size > _LARGEST_ARCHIVE_MIB * reading.MIB:
                raise tarfile.TarError("it is larger than such an archive is")
            name = member.name.rsplit("/", 1)[-1]
            if member.isfile() and name in names:
                if member.size > _LARGEST_MEMBER_MIB * reading.MIB:
                    raise tarfile.TarError(f"{name} is larger than such a file is")
                yield name, tar.extractfile(member).read()


def download(archive: Archive, put_into: Path) -> Path:
    """Download with progress and checksum into Keras' cache; a file that is there already is used.

    Args:
        archive: Archive to get.
        put_into: Folder that the error tells the user to put the file into.

    Returns:
        Path of the file.

    Raises:
        InputError: If it could not be downloaded; one line says where to get it and where to put it.
    """
    import keras

    try:
        with _patience(_PATIENCE_S):
            path = keras.utils.get_file(
                fname=archive.file,
                origin=archive.url,
                file_hash=archive.digest,
                hash_algorithm=archive.algorithm,
                cache_subdir="datasets",
            )
    # keras.utils.get_file raises a bare Exception when the network fails.
    except Exception as error:
        raise InputError(
            f"{archive.file} is not here and could not be downloaded ({one_line(error)})",
            cure=f"get it from {archive.url} and put it into {put_into}, or give its folder with `data_dir`",
        ) from error
    return Path(path)


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def locate(data_dir: Path | None, folder: str, official_folder: str, archive: Archive, names: tuple[str, ...]):
    """Call `find` in `data_dir` and nowhere else; without a `data_dir`, in the 2019 layout, else after a `download`.

    Raises:
        InputError: If nothing is there, or the download fails.
        FileNotFoundError: If some of the files are there, but not all.
        ValueError: If the files there are damaged.
    """
    if data_dir is not None:
        found = find(data_dir, official_folder, archive, names)
        if found is None:
            raise InputError(
                f"neither {names[0]} nor {official_folder}/ nor {archive.file} is there",
                setting="data_dir",
                value=data_dir,
                cure=f"get {archive.url} and put it there",
            )
        return found
    home = layout_of_2019(folder, (*names, official_folder, archive.file))
    return find(home, official_folder, archive, names) or _open_archive(download(archive, home), archive, names)
