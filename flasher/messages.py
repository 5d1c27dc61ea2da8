# SPDX-License-Identifier: Apache-2.0
"""SMP messages of coffret's own groups 64 to 67, in the style of the `smp` package.

The table in docs/internals.md, section SMP, is the authority. Everything a board sends is bounded
here: lengths, counts and ranges that no honest board exceeds.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from smp import error, message
from smp.header import CommandId as StandardCommandId
from smp.header import GroupId
from smp.os_management import OSManagementErrorV1, OSManagementErrorV2

TOKEN_MAX = 2048
CERTIFICATE_MAX = 512
ENDORSEMENT_MAX = 1024
SETTINGS_MAX = 512  # coffret/syscall.h
LOG_ENTRIES_MAX = 256
ENCLAVES_MAX = 32

Bytes32 = Annotated[bytes, Field(min_length=32, max_length=32)]
UInt32 = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Text = Annotated[str, Field(max_length=256)]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


@unique
class Group(IntEnum):
    """User groups of SMP (64 and up)."""

    ATTESTATION = 64
    PROVISIONING = 65
    LOG = 66
    ENCLAVES = 67


@unique
class GroupError(IntEnum):
    """Codes in a version 2 error of our groups; 0 to 13 are SMP's general ones."""

    OK = 0
    UNKNOWN = 1
    NO_MEMORY = 2
    INVALID = 3
    TIMEOUT = 4
    NOT_FOUND = 5
    BAD_STATE = 6
    MESSAGE_SIZE = 7
    NOT_SUPPORTED = 8
    CORRUPT = 9
    BUSY = 10
    ACCESS_DENIED = 11


# `smp` compares an error's group with its class's, so each group has its pair of classes:
# version 1 is `{rc, rsn}`, version 2 `{err: {group, rc}}`.


class AttestationErrorV1(error.ErrorV1):
    _GROUP_ID = Group.ATTESTATION


class AttestationErrorV2(error.ErrorV2[GroupError]):
    _GROUP_ID = Group.ATTESTATION


class _Attestation:
    _ErrorV1 = AttestationErrorV1
    _ErrorV2 = AttestationErrorV2


class ProvisioningErrorV1(error.ErrorV1):
    _GROUP_ID = Group.PROVISIONING


class ProvisioningErrorV2(error.ErrorV2[GroupError]):
    _GROUP_ID = Group.PROVISIONING


class _Provisioning:
    _ErrorV1 = ProvisioningErrorV1
    _ErrorV2 = ProvisioningErrorV2


class LogErrorV1(error.ErrorV1):
    _GROUP_ID = Group.LOG


class LogErrorV2(error.ErrorV2[GroupError]):
    _GROUP_ID = Group.LOG


class EnclavesErrorV1(error.ErrorV1):
    _GROUP_ID = Group.ENCLAVES


class EnclavesErrorV2(error.ErrorV2[GroupError]):
    _GROUP_ID = Group.ENCLAVES


class EvidenceResponse(message.WriteResponse):
    """A PSA token (COSE_Sign1) and the certificate of the key that signed it."""

    model_config = _STRICT
    _GROUP_ID = Group.ATTESTATION
    _COMMAND_ID = 0

    token: Annotated[bytes, Field(min_length=1, max_length=TOKEN_MAX)]
    cert: Annotated[bytes, Field(min_length=1, max_length=CERTIFICATE_MAX)]


class EvidenceRequest(_Attestation, message.WriteRequest):
    """Asks for evidence over a nonce of 32, 48 or 64 bytes, with a report on one enclave."""

    _GROUP_ID = Group.ATTESTATION
    _COMMAND_ID = 0
    _Response = EvidenceResponse

    nonce: bytes
    enclave: str | None = None


class PairwiseResponse(message.WriteResponse):
    """As to a request for evidence; without a certificate, unless it was to enrol."""

    model_config = _STRICT
    _GROUP_ID = Group.ATTESTATION
    _COMMAND_ID = 1

    token: Annotated[bytes, Field(min_length=1, max_length=TOKEN_MAX)]
    cert: Annotated[bytes, Field(max_length=CERTIFICATE_MAX)]


class PairwiseRequest(_Attestation, message.WriteRequest):
    """Asks for evidence over a nonce of 32 bytes by the key for one verifier, or to enrol it."""

    _GROUP_ID = Group.ATTESTATION
    _COMMAND_ID = 1
    _Response = PairwiseResponse

    nonce: bytes
    verifier: bytes
    enrol: bool


class IdentityResponse(message.ReadResponse):
    """Public facts of the device identity."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 0

    id: Annotated[bytes, Field(min_length=33, max_length=33)]
    key: Annotated[bytes, Field(min_length=64, max_length=64)]
    impl: Bytes32
    lifecycle: Annotated[int, Field(ge=0, le=0xFFFF)]
    boot: Bytes32


class IdentityRequest(_Provisioning, message.ReadRequest):
    """Asks who the device is. Recovery answers too."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 0
    _Response = IdentityResponse


class EndorsementReadResponse(message.ReadResponse):
    """The endorsement the device holds; empty when it was never provisioned."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 1

    endorsement: Annotated[bytes, Field(max_length=ENDORSEMENT_MAX)] = b""


class EndorsementReadRequest(_Provisioning, message.ReadRequest):
    """Asks for the stored endorsement."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 1
    _Response = EndorsementReadResponse


class EndorsementWriteResponse(message.WriteResponse):
    """Stored; the lifecycle is now `secured`."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 1


class EndorsementWriteRequest(_Provisioning, message.WriteRequest):
    """Stores an endorsement."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 1
    _Response = EndorsementWriteResponse

    endorsement: bytes


class SettingsReadResponse(message.ReadResponse):
    """The text that was given to this board: a line NAME=VALUE for each setting."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 4

    settings: Annotated[str, Field(max_length=SETTINGS_MAX)]


class SettingsReadRequest(_Provisioning, message.ReadRequest):
    """Asks for the settings. Only an image in which an enclave reads them answers."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 4
    _Response = SettingsReadResponse


class SettingsWriteResponse(message.WriteResponse):
    """Stored."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 4


class SettingsWriteRequest(_Provisioning, message.WriteRequest):
    """Replaces the settings; a secured board refuses."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 4
    _Response = SettingsWriteResponse

    settings: str


class DecommissionResponse(message.WriteResponse):
    """Stored; boot judges the order at the next start."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 3


class DecommissionRequest(_Provisioning, message.WriteRequest):
    """Stores an order to decommission the board (firmware/image/decommission.py)."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 3
    _Response = DecommissionResponse

    order: bytes


class RefusalResponse(message.ReadResponse):
    """The last image that was refused: slot and `enum reason`. Slot 255: it was boot, earlier."""

    model_config = _STRICT
    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 2

    slot: Annotated[int, Field(ge=0, le=255)]
    reason: Annotated[int, Field(ge=0, le=255)]


class RefusalRequest(_Provisioning, message.ReadRequest):
    """Asks why an image was refused: SMP's standard errors have no room for it."""

    _GROUP_ID = Group.PROVISIONING
    _COMMAND_ID = 2
    _Response = RefusalResponse


class LogResponse(message.ReadResponse):
    """Entries `[sequence, ms, who, text]` and the sequence number to go on from."""

    model_config = _STRICT
    _GROUP_ID = Group.LOG
    _COMMAND_ID = 0

    next: UInt32
    entries: Annotated[list[list[int | Text]], Field(max_length=LOG_ENTRIES_MAX)]


class LogRequest(message.ReadRequest):
    """Asks for log entries from a sequence number on."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)
    _GROUP_ID = Group.LOG
    _COMMAND_ID = 0
    _Response = LogResponse
    _ErrorV1 = LogErrorV1
    _ErrorV2 = LogErrorV2

    start: int = Field(serialization_alias="from")


class EnclaveFacts(BaseModel):
    """One task as the monitor sees it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: Text
    state: UInt32 | Text
    faults: UInt32
    restarts: UInt32
    last: UInt32 | Text
    cpu_ms: UInt32 = 0  # an image made before these two were told says nothing
    memory: UInt32 = 0


class EnclavesResponse(message.ReadResponse):
    """The enclaves, the running slot (0 A, 1 B) and the time since the reset."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    _GROUP_ID = Group.ENCLAVES
    _COMMAND_ID = 0

    enclaves: Annotated[list[EnclaveFacts], Field(max_length=ENCLAVES_MAX)]
    slot: Annotated[int, Field(ge=0, le=1)]
    uptime_ms: Annotated[int, Field(ge=0, le=0xFFFF_FFFF_FFFF_FFFF)]
    # An image made before it was told does not say.
    store_erases: Annotated[list[UInt32], Field(min_length=2, max_length=2)] | None = None


class EnclavesRequest(message.ReadRequest):
    """Asks how the enclaves are."""

    _GROUP_ID = Group.ENCLAVES
    _COMMAND_ID = 0
    _Response = EnclavesResponse
    _ErrorV1 = EnclavesErrorV1
    _ErrorV2 = EnclavesErrorV2


class ModeResponse(message.ReadResponse):
    """Which boot it is and who speaks: `recovery` (boot itself) or `application` (the image)."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    _GROUP_ID = GroupId.OS_MANAGEMENT
    _COMMAND_ID = StandardCommandId.OSManagement.BOOTLOADER_INFO

    bootloader: Text
    mode: Text


class ModeRequest(message.ReadRequest):
    """The standard bootloader info request with the query that asks for the mode."""

    _GROUP_ID = GroupId.OS_MANAGEMENT
    _COMMAND_ID = StandardCommandId.OSManagement.BOOTLOADER_INFO
    _Response = ModeResponse
    _ErrorV1 = OSManagementErrorV1
    _ErrorV2 = OSManagementErrorV2

    query: str
