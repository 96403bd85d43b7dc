"""Executes another program with the supervisor's settings for child processes: run as a script, never imported.

``python -I -S launch.py '{"argv": [...], ...}'`` sets, in the child itself and so without races:

- the signal it gets when its parent ends in any way (``death_signal``, 0 = none);
- the umask: what it makes is for its user alone;
- the limit of open files (``open_files``, as far as the machine allows);
- the user (``uid``, ``gid``), and, when ``reach`` is set, the one capability to pass through folders closed
  to that user, so that PostgreSQL, which refuses to be root, can work below ``/root``.

Only the standard library; it must start in a few milliseconds.
"""

import ctypes
import json
import os
import resource
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 4
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CANNOT_REACH = (
    "this root may not give an ordinary user a way into closed folders; put Trunkline and its data below a folder "
    "that is open to all, such as /opt, or run it as an ordinary user"
)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(*arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:5]
    if _libc().prctl(*(ctypes.c_ulong(value) for value in padded)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _raise_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for new_hard in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, new_hard)), new_hard))
        except (ValueError, OSError):
            continue
        return


def _capabilities() -> int:
    """The permitted set of this process (the low 32 are enough here)."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    if _libc().capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    permitted: int = struct.unpack("=6I", data.raw)[1]
    return permitted


def _keep_only(capability: int) -> None:
    """Hold one capability, across the coming exec as well."""
    bit = 1 << capability
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", bit, bit, bit, 0, 0, 0))
    if _libc().capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _become(uid: int, gid: int, reach: bool) -> None:
    capability = _prepare_reach() if reach else None
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capability is not None:
        _keep_only(capability)


def _prepare_reach() -> int:
    """The capability to keep; from here on a change of user leaves capabilities alone."""
    permitted = _capabilities()
    # Reading is the smaller right; containers often grant only the greater.
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted & (1 << capability):
            break
    else:
        sys.exit(_CANNOT_REACH)
    try:
        # Without this, access() would ignore the capability of a user who is not root.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    except OSError:
        sys.exit(_CANNOT_REACH)
    return capability


def main() -> None:
    order = json.loads(sys.argv[1])
    os.umask(0o077)
    if order.get("open_files"):
        _raise_open_files(order["open_files"])
    if order.get("uid") is not None:
        _become(order["uid"], order["gid"], order.get("reach", False))
    if order.get("death_signal"):
        # After the change of user, which resets it.
        _prctl(_PR_SET_PDEATHSIG, order["death_signal"])
        if os.getppid() != order["parent"]:
            sys.exit(1)
    os.execvp(order["argv"][0], order["argv"])  # noqa: S606


if __name__ == "__main__":
    main()
