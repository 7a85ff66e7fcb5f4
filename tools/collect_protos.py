"""Collects upstream's message descriptors into tfod_kit/compat/protos.binpb.

With them, configs and label maps can be used where upstream's package is not installed.
`python tools/collect_protos.py` writes the file; a test compares it with the installed package.
"""

import importlib.util
from pathlib import Path

from google.protobuf import descriptor_pb2

from tfod_kit.compat import protos


def bundle() -> bytes:
    """The descriptors of all message files of upstream, each after those that it imports."""
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for path in sorted(_folder().glob("*_pb2.py")):
        serialized = protos.serialized_descriptor(path)
        if serialized is None:
            raise LookupError(f"{path} has no descriptor")
        file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
        found[file.name] = file
    ordered: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for needed in found[name].dependency:
                add(needed)
            ordered[name] = found[name]

    for name in found:
        add(name)
    collected = descriptor_pb2.FileDescriptorSet(file=ordered.values())
    return collected.SerializeToString(deterministic=True)


def _folder() -> Path:
    spec = importlib.util.find_spec("object_detection")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("tf-models-research-object-detection is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "protos"


if __name__ == "__main__":
    protos.BUNDLE.write_bytes(bundle())
    print(f"{protos.BUNDLE}: {protos.BUNDLE.stat().st_size:,} bytes")
