"""Known errors of the fetched Asterisk are corrected in its files, when it is set up.

Debian's package has a patch that upstream does not have (``2016_opus_plc.patch``): a translator drops each frame whose
number is lower than the last one, and all that follow, for up to eleven minutes. So a carrier that changes its media gateway
during a talk is not heard any more. No setting avoids it; decision 0034 has the measurements, 0042 the choice.
Its module of transfers has six more (decision 0043); without the corrections it is not loaded. Its SIP library sends a
response to the address in ``maddr`` of ``Via``, so an unknown client chose the destination. Its registrar stores each
``Contact`` of a REGISTER and sends OPTIONS there (decision 0050). Its module of sessions refuses a call without a common
codec, and writes nothing about it. Its distributor of requests refuses calls over TCP while others send too much (0051).
Its bridges ask a phone for as many streams as the browser has to which it talks (0074).

A correction names the digest of the file before and after it, so it applies to that very build, or not at all.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from trunkline.core.errors import SetupError

PROGRAM = "usr/sbin/asterisk"
"""The corrected file, in the folder of the private copy."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Bytes that replace others of the same length.

    :ivar before: SHA-256 of the file as it is in the package.
    :ivar after: SHA-256 of the corrected file.
    :ivar offset: of the first byte, from the beginning of the file.
    """

    before: str
    after: str
    offset: int
    old: bytes
    new: bytes


CORRECTIONS = (
    # amd64, ast_translate(): `ja` (no frame came before) becomes `jmp`, as if each frame were the first one.
    Correction(
        before="a0c0bda5092340caed1c754d922951a5a469c996d7566ecdfa92f4db2860c16a",
        after="d62d21f1e81184812a9cbbd44fbfa679ed8fe1176f106ff44d5cc956e6b97184",
        offset=0x24355B,
        old=b"\x77\x68",
        new=b"\xeb\x68",
    ),
)


TRANSFERS = "res_pjsip_refer.so"
"""The module of transfers by phones, in the folder of modules."""

_TRANSFERS_CORRECTED = "952da4495743de5617874240b53d98f28452d3eb20988084d1ad94e3daa758b4"

_TRANSFER_WITHOUT_SWITCH = (
    bytes.fromhex(
        "8bb86004000085ff0f8409ddfffff68388010000040f84fcdcffff31ff488d3543000000488d1553000000b9010000004531c0e8"
        "3898ffffbf0100000085c00f85d2dcffff488b43604531c94531c031c9baf70100004c89e6488b7878e84e98ffffe90ee2ffff"
    )
    + b"stasis-trunkline-ready\0s\0"
)
"""What comes before a REFER is looked at. The instructions, in their order::

    mov  edi, [rax+0x460]      # allow_transfer of the endpoint, which the jump to here replaced
    test edi, edi
    je   back                  # refused as before (603)
    test byte [rbx+0x188], 4   # transfers are reported to ARI only
    je   back
    xor  edi, edi
    lea  rsi, context          # that Asterisk has while a switch is registered (READY in telephony.config.dialplan)
    lea  rdx, extension
    mov  ecx, 1
    xor  r8d, r8d
    call ast_exists_extension
    mov  edi, 1
    test eax, eax
    jne  back
    mov  rax, [rbx+0x60]
    xor  r9d, r9d
    xor  r8d, r8d
    xor  ecx, ecx
    mov  edx, 503
    mov  rsi, r12
    mov  rdi, [rax+0x78]
    call pjsip_dlg_respond
    jmp  done
"""

_NO_STORE = bytes.fromhex("660f1f440000")
"""An instruction of six bytes that does nothing."""

TRANSFER_CORRECTIONS = (
    # amd64, refer_progress_alloc(): a REFER with `Refer-Sub: false` is as every other; with ARI, the process would end.
    Correction(
        before="e7295ea1ca87188db25f00634f0fdeff2d5710997b32ee18672bdc4269da1cd7",
        after="a8d1fd69d00dd7899a4c1ae72d31feaeb161a0496bbc01143d4898d89aeb39c1",
        offset=0x8B5D,
        old=b"\x0f\x85\xd4\x01\x00\x00",
        new=b"\x66\x0f\x1f\x44\x00\x00",
    ),
    # refer_incoming_request(): an INVITE with `Replaces` is a call like any other; it would take over a call of any account.
    Correction(
        before="a8d1fd69d00dd7899a4c1ae72d31feaeb161a0496bbc01143d4898d89aeb39c1",
        after="410cd52ad659fbec5422a0aa4a535a5d0736fd4f1b86a228ddc699df350bfa03",
        offset=0x9B1D,
        old=b"\x74\x29",
        new=b"\x90\x90",
    ),
    # refer_progress_notify(): the result of a transfer is sent to the phone, and not reported to ARI a second time. The
    # report locked channels and bridges while the SIP dialog was locked, and read the channel of another call without a
    # reference to it.
    Correction(
        before="410cd52ad659fbec5422a0aa4a535a5d0736fd4f1b86a228ddc699df350bfa03",
        after="ab14e7a70e82e6d668e008dd563e7db7a4dd0faab23666f18d3c096f3a532164",
        offset=0x6D6F,
        old=b"\x74\x38",
        new=b"\xeb\x38",
    ),
    # refer_incoming_ari_request(): the report has the Call-ID of the other call, and not its channel, to which the module
    # has no reference; a call that ended in this moment ended the process.
    Correction(
        before="ab14e7a70e82e6d668e008dd563e7db7a4dd0faab23666f18d3c096f3a532164",
        after="3ef6107e74bfa5faa223f4cc0523ce0e4de1b9233550c472784ea8d895513626",
        offset=0x95AD,
        old=b"\x4d\x8b\x40\x68",
        new=b"\x45\x31\xc0\x90",
    ),
    # refer_ari_progress_framehook(), four times: the response of ARI is not stored for further reports. The place to store
    # it in is made after the report, so a response that came at once ended the process.
    Correction(
        before="3ef6107e74bfa5faa223f4cc0523ce0e4de1b9233550c472784ea8d895513626",
        after="0540429c92c6bf4ae0a72444fc908dc29faef39c4bbefd0d34deae2b307c5f3e",
        offset=0xA83A,
        old=b"\x89\x90\x80\x00\x00\x00",
        new=_NO_STORE,
    ),
    Correction(
        before="0540429c92c6bf4ae0a72444fc908dc29faef39c4bbefd0d34deae2b307c5f3e",
        after="1893efe3430221ebc3d540024b60a5a96409dd51fefb63df704bb1d8acd17a05",
        offset=0xA934,
        old=b"\x89\x90\x80\x00\x00\x00",
        new=_NO_STORE,
    ),
    Correction(
        before="1893efe3430221ebc3d540024b60a5a96409dd51fefb63df704bb1d8acd17a05",
        after="9c8c38a458fad0cf89e65fb23b2773aa8e359047debde81b5e983e05f298f832",
        offset=0xA946,
        old=b"\x89\x90\x80\x00\x00\x00",
        new=_NO_STORE,
    ),
    Correction(
        before="9c8c38a458fad0cf89e65fb23b2773aa8e359047debde81b5e983e05f298f832",
        after="0039597a22e8df5abd4186178ea07e41481422a77f00d478c2cfc29a65f1be7f",
        offset=0xAAE5,
        old=b"\x89\x82\x80\x00\x00\x00",
        new=_NO_STORE,
    ),
    # refer_incoming_refer_request(): while no switch takes transfers, REFER gets 503 and the talk goes on. It got 202, no
    # process carried it out, and the party that the phone left was hung up. The instructions are in the rest of the last
    # page of the module's code, which is loaded and empty.
    Correction(
        before="0039597a22e8df5abd4186178ea07e41481422a77f00d478c2cfc29a65f1be7f",
        after="61b9b013fa5b3aadcc83deed950c4f61cb7c2ed56588fabff48369262ad82dd1",
        offset=0xACC0,
        old=bytes(len(_TRANSFER_WITHOUT_SWITCH)),
        new=_TRANSFER_WITHOUT_SWITCH,
    ),
    Correction(
        before="61b9b013fa5b3aadcc83deed950c4f61cb7c2ed56588fabff48369262ad82dd1",
        after=_TRANSFERS_CORRECTED,
        offset=0x89D1,
        old=bytes.fromhex("8bb860040000"),
        new=bytes.fromhex("e9ea22000090"),
    ),
)
"""In order; decision 0043."""


SIP_LIBRARY = "libasteriskpj.so.2"
"""pjsip, in the folder of libraries."""

SIP_CORRECTIONS = (
    # amd64, pjsip_get_response_addr(): `maddr` of `Via` has no effect; the response goes to the source of the request.
    Correction(
        before="12dfc1461adaa3cf7614ce8cebf2bc78098080abf8cf374871e8622faba20df4",
        after="9c7db9ac8bf2aea1585ce22acad09295ca732201123877903668552ddd2e6019",
        offset=0x6BDA9,
        old=b"\x0f\x85\x19\x01\x00\x00",
        new=b"\x66\x0f\x1f\x44\x00\x00",
    ),
    # pjsip_get_dest_info(), for sips and sip: `maddr` of `Contact` and `Record-Route` has no effect either; a request goes
    # to the host of the address.
    Correction(
        before="9c7db9ac8bf2aea1585ce22acad09295ca732201123877903668552ddd2e6019",
        after="2ebe1d7b1d55238626a96aab89467437c1ff784f08c34284766a691d44c5e39f",
        offset=0x6B16E,
        old=b"\x0f\x84\xe4\x00\x00\x00",
        new=b"\xe9\xe5\x00\x00\x00\x90",
    ),
    Correction(
        before="2ebe1d7b1d55238626a96aab89467437c1ff784f08c34284766a691d44c5e39f",
        after="6c73def34e7f13c645cf1f0d655e4d061462517377d4328123e71da36e151035",
        offset=0x6B226,
        old=b"\x75\x48",
        new=b"\x90\x90",
    ),
)

REGISTRAR = "res_pjsip_registrar.so"
"""The module of REGISTER, in the folder of modules."""

_REGISTRAR_CORRECTED = "ef05fb67a731deba9f53b765d2f71f69b9fe7d20560b362f7cfc40482c91b5f0"

_CHECK_OF_CONTACT = bytes.fromhex(
    "0f8ddae0ffff4885db740a837d84000f85cbe0ffff4883ba80000000000f85bde0ffff488d82b8000000483940080f85"
    "ace0ffffe907e0ffff"
)
"""What the check of a ``Contact`` refuses (400): a host that is too long, as before; one that is to be added and follows
another; one with ``maddr``; one with headers. The instructions, in their order::

    jge  refuse              # the comparison with the longest host that Asterisk allows
    test rbx, rbx            # the Contact before this one
    je   first
    cmp  dword [rbp-0x7c], 0 # expiration of this one, seconds
    jne  refuse
    first:
    cmp  qword [rdx+0x80], 0 # pjsip_sip_uri.maddr_param.slen
    jne  refuse
    lea  rax, [rdx+0xb8]     # pjsip_sip_uri.header_param, a list
    cmp  [rax+8], rax
    jne  refuse
    jmp  back
"""

REGISTRAR_CORRECTIONS = (
    # amd64, registrar_validate_contacts(): Asterisk sends OPTIONS to each Contact as soon as it is stored, and replaces the
    # host of the first one only. So a phone chose where the server sends and connects. The instructions are in the rest of
    # the last page of the module's code, which is loaded and empty.
    Correction(
        before="11dc98dfd2e35dbd24a50a4d3fb5bd1afaef0f4a2ea1747925df45ef847a1916",
        after="11c1571f3ca6b27a9e0dac44b6c58b09f400872a57497d859a4e92713f5ff7f2",
        offset=0x7C90,
        old=bytes(len(_CHECK_OF_CONTACT)),
        new=_CHECK_OF_CONTACT,
    ),
    Correction(
        before="11c1571f3ca6b27a9e0dac44b6c58b09f400872a57497d859a4e92713f5ff7f2",
        after=_REGISTRAR_CORRECTED,
        offset=0x5CCA,
        old=bytes.fromhex("0f8da0000000"),
        new=bytes.fromhex("e9c11f000090"),
    ),
)
"""In order; decision 0050."""


SESSIONS = "res_pjsip_session.so"
"""The module of calls, in the folder of modules."""

_SESSIONS_CORRECTED = "e72ed66681dd59fcfa0f554e58b25b644e1853c49749afd77568da58cd211f83"

SESSION_CORRECTIONS = (
    # amd64, handle_incoming_sdp(): when no stream of an offer is taken, the message "Handled? no" is written whatever the
    # level of debugging is. What asked for the level of this module asks for the result now.
    Correction(
        before="835bce094cb4b90a63f3c4f72eb755f4033ed712bda3865b01ea8076d845d36a",
        after="876ba342094d3a714736c6139e1acf6229b00476e25bd1ec57a112911a94d77b",
        offset=0x1CC76,
        old=bytes.fromhex("488b0513730100f6400280752d"),
        new=bytes.fromhex("83bd44ffffff0074380f1f4000"),
    ),
    # The way to the message keeps the name of the source file, and asks for no level.
    Correction(
        before="876ba342094d3a714736c6139e1acf6229b00476e25bd1ec57a112911a94d77b",
        after="1a0e2c181baddc334bf9e2d57c80eadb903a22c9f479c77eb56f5a2fe6099426",
        offset=0x1CCBE,
        old=bytes.fromhex("e87d9bfeff48899d78ffffff83f8027f11"),
        new=bytes.fromhex("0f1f44000048899d78ffffffeb140f1f00"),
    ),
    # The message is a notice, with 0 for its line of the source.
    Correction(
        before="1a0e2c181baddc334bf9e2d57c80eadb903a22c9f479c77eb56f5a2fe6099426",
        after=_SESSIONS_CORRECTED,
        offset=0x1CD03,
        old=bytes.fromhex("bac903000031ff"),
        new=bytes.fromhex("6a025f31d26690"),
    ),
)
"""In order; decision 0042."""


DISTRIBUTOR = "res_pjsip.so"
"""The module that gives each request to one of 31 queues, in the folder of modules."""

_DISTRIBUTOR_CORRECTED = "05c19d553c09747cc29fe5678d35218576848d5564c24b6ffad33dd0f5bfe524"

_CALL_DURING_OVERLOAD = bytes.fromhex(
    "488b4508488b4050247f4883f8017434488b85b80101008378080075274889ef4c8d642420e89600fcff4889442410"
    "817840e80300000f8ca5a0feff4889c7e83c00fcff488b05e51d0200e9aba3feff"
)
"""What comes before a request is refused because a queue is long. The instructions, in their order::

    mov  rax, [rbp+8]          # the transport
    mov  rax, [rax+0x50]       # its type
    and  al, 0x7f
    cmp  rax, 1                # UDP: as before; the client repeats the request
    je   refuse
    mov  rax, [rbp+0x101b8]    # the message
    cmp  dword [rax+8], 0      # INVITE
    jne  refuse
    mov  rdi, rbp
    lea  r12, [rsp+0x20]
    call ast_sip_get_distributor_serializer
    mov  [rsp+0x10], rax       # the queue of this request
    cmp  dword [rax+0x40], 1000 # what waits in it
    jl   accept
    mov  rdi, rax
    call ast_taskprocessor_unreference
    refuse:
    mov  rax, [rip+option_debug] # what the jump to here replaced
    jmp  back
"""

DISTRIBUTOR_CORRECTIONS = (
    # amd64, distributor(): while any queue has 500 requests, Asterisk refuses each new call over TCP, TLS and WSS with 503,
    # emergency calls as well. Now a call waits in its queue as long as that one has fewer than 1000. The instructions are in
    # the rest of the last page of the module's code, which is loaded and empty.
    Correction(
        before="8459ebba2293323705884d5ffdba0e741a43e9f886e1305f72be5ff829a5f797",
        after="3da6e5d1a0545efcba0713754b7c54773ca7882f382c737afe2a24a2e7b1ce69",
        offset=0x520B0,
        old=bytes(len(_CALL_DURING_OVERLOAD)),
        new=_CALL_DURING_OVERLOAD,
    ),
    Correction(
        before="3da6e5d1a0545efcba0713754b7c54773ca7882f382c737afe2a24a2e7b1ce69",
        after=_DISTRIBUTOR_CORRECTED,
        offset=0x3C4A4,
        old=bytes.fromhex("488b05357a0300"),
        new=bytes.fromhex("e9075c01006690"),
    ),
)
"""In order; decision 0051."""


SIMPLE_BRIDGE, RTP_BRIDGE = "bridge_simple.so", "bridge_native_rtp.so"
"""The modules that connect the two parties of a talk, in the folder of modules."""

_BRIDGES_CORRECTED = {
    SIMPLE_BRIDGE: "e1d121fd6792bf42af94655d1c68c85d64b551591c7128209d5b9e834a6bf39c",
    RTP_BRIDGE: "b9959a84e722f4122ebc06b6d85d876eccba165168ba50294e99a6c86ccf12dc",
}

_OTHER_STREAMS = "41554989fd5653e8{count_one}89c3488b7c2408e8{count_other}39d85b5f7505e9{back}31c0415dc3"
"""What comes before one party is asked for the streams of the other. The instructions, in their order::

    push r13                   # what the jump to here replaced
    mov  r13, rdi              # streams of the one who would be asked; replaced as well
    push rsi                   # streams of the other
    push rbx
    call ast_stream_topology_get_count
    mov  ebx, eax
    mov  rdi, [rsp+8]
    call ast_stream_topology_get_count
    cmp  eax, ebx
    pop  rbx
    pop  rdi                   # rsi, as the third replaced instruction has it
    jne  refuse
    jmp  back
    refuse:
    xor  eax, eax              # nothing to ask for
    pop  r13
    ret
"""

BRIDGE_CORRECTIONS = {
    # amd64, *_request_stream_topology_update(): when the parties of a talk have another number of streams, Asterisk asks the
    # one for as many as the other has. A browser whose page was loaded again ends one stream and has another; a phone that
    # supports one stream refuses both, and the talk ended. Now each keeps the streams that it has: only sound is passed on.
    # The instructions are in the rest of the last page of the module's code.
    SIMPLE_BRIDGE: (
        Correction(
            before="24ad43963ab8bb8e969b8a7c58743a74e02d401179a6a2138e1357d765aa8469",
            after="4b053bb3b5193985448944e9c251876c02c5cbfe317627902244b11b2bfa210d",
            offset=0x1CA0,
            old=bytes(40),
            new=bytes.fromhex(
                _OTHER_STREAMS.format(count_one="c4f4ffff", count_other="b8f4ffff", back="b5f6ffff")
            ),
        ),
        Correction(
            before="4b053bb3b5193985448944e9c251876c02c5cbfe317627902244b11b2bfa210d",
            after=_BRIDGES_CORRECTED[SIMPLE_BRIDGE],
            offset=0x1370,
            old=bytes.fromhex("41554989fd4889f7"),
            new=bytes.fromhex("e92b0900000f1f00"),
        ),
    ),
    RTP_BRIDGE: (
        Correction(
            before="52c6dddc0f2014ef3e3388ed64abad3fda262312d97f61a71281c00b18af9955",
            after="941d210c9e4a17ffc8fc982b430db33cf56c7e51121bd1427b4ca6287f53016c",
            offset=0x5470,
            old=bytes(40),
            new=bytes.fromhex(
                _OTHER_STREAMS.format(count_one="54cdffff", count_other="48cdffff", back="05d0ffff")
            ),
        ),
        Correction(
            before="941d210c9e4a17ffc8fc982b430db33cf56c7e51121bd1427b4ca6287f53016c",
            after=_BRIDGES_CORRECTED[RTP_BRIDGE],
            offset=0x2490,
            old=bytes.fromhex("41554989fd4889f7"),
            new=bytes.fromhex("e9db2f00000f1f00"),
        ),
    ),
}
"""By module, each in order; decision 0074."""


def are_bridges_corrected(modules: Path) -> bool:
    """Whether the modules of talks in this folder leave each party the streams that it has."""
    return all(_has_digest(modules / name, digest) for name, digest in _BRIDGES_CORRECTED.items())


def is_distributor_corrected(modules: Path) -> bool:
    """Whether the distributor of requests in this folder is the corrected one."""
    return _has_digest(modules / DISTRIBUTOR, _DISTRIBUTOR_CORRECTED)


def are_sessions_corrected(modules: Path) -> bool:
    """Whether the module of calls in this folder is the corrected one, which writes which calls it refuses."""
    return _has_digest(modules / SESSIONS, _SESSIONS_CORRECTED)


def is_registrar_corrected(modules: Path) -> bool:
    """Whether the module of REGISTER in this folder is the corrected one."""
    return _has_digest(modules / REGISTRAR, _REGISTRAR_CORRECTED)


def are_transfers_corrected(modules: Path) -> bool:
    """Whether the module of transfers in this folder is the corrected one."""
    return _has_digest(modules / TRANSFERS, _TRANSFERS_CORRECTED)


def _has_digest(file: Path, digest: str) -> bool:
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


APPLIED = [
    one.after
    for one in (
        *CORRECTIONS,
        *TRANSFER_CORRECTIONS,
        *SIP_CORRECTIONS,
        *REGISTRAR_CORRECTIONS,
        *SESSION_CORRECTIONS,
        *DISTRIBUTOR_CORRECTIONS,
        *BRIDGE_CORRECTIONS[SIMPLE_BRIDGE],
        *BRIDGE_CORRECTIONS[RTP_BRIDGE],
    )
]
"""What the marker of a copy holds after :func:`correct_copy` of this version."""


def correct_copy(root: Path, modules: Path) -> None:
    """Correct the files of a private copy for whose builds there are corrections; the others stay as they are.

    To be called by one process at a time.

    :param root: of the copy; :param modules: its folder of modules.
    :raises SetupError: see :func:`correct`.
    """
    correct(root / PROGRAM)
    for name, corrections in (
        (TRANSFERS, TRANSFER_CORRECTIONS),
        (REGISTRAR, REGISTRAR_CORRECTIONS),
        (SESSIONS, SESSION_CORRECTIONS),
        (DISTRIBUTOR, DISTRIBUTOR_CORRECTIONS),
        *BRIDGE_CORRECTIONS.items(),
    ):
        if (modules / name).exists():
            correct(modules / name, corrections)
    library = modules.parent.parent / SIP_LIBRARY
    if library.exists():
        correct(library, SIP_CORRECTIONS)


def correct(file: Path, corrections: tuple[Correction, ...] = CORRECTIONS) -> None:
    """Apply the corrections for this build of the file, in order.

    The file is replaced by one rename: an interruption leaves the former one, and processes that run go on with theirs.

    :raises SetupError: the corrected file has another digest than it must have; the former one is still there.
    """
    content = bytearray(file.read_bytes())
    digest = before = hashlib.sha256(content).hexdigest()
    for one in corrections:
        if one.before != digest:
            continue
        content[one.offset : one.offset + len(one.new)] = one.new
        digest = hashlib.sha256(content).hexdigest()
        if digest != one.after:
            raise SetupError(
                f"{file} could not be corrected; delete the folder of the fetched Asterisk and run this again, so that it"
                " is fetched again"
            )
    if digest == before:
        return
    partial = file.with_name(f"{file.name}.partial")
    with partial.open("wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    partial.chmod(file.stat().st_mode & 0o7777)
    partial.rename(file)
