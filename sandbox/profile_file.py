"""Reads profile files: YAML to `Profile`, with the file and line of every mistake."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from sandbox.profile import Profile

# libyaml's loader where it was built in: four times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ProfileError(Exception):
    """A profile that cannot be used; the message is one line and names the file and line."""


def load(path: Path) -> Profile:
    """Read one profile; relative key files are made absolute against the profile's folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: is not UTF-8 text: {error}") from error
    try:
        root, content = _read(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProfileError(f"{path}:{line}: is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ProfileError(f"{path}:1: is not YAML: {error}".replace("\n", " ")) from error
    if not isinstance(content, dict):
        raise ProfileError(f"{path}:1: a profile is a mapping that begins with `account:`")
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = problems[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        message = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], dict | list) else f", got {first['input']!r}"
        line = _line(root, first["loc"])
        raise ProfileError(f"{path}:{line}: {where + ': ' if where else ''}{message}{given}{more}") from error
    return _absolute_key_files(profile, path.parent)


def _read(text: str) -> tuple[yaml.Node | None, object]:
    """The nodes, which know their lines, and what they say."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root is not None else None
    finally:
        loader.dispose()


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest node on the way to a pydantic error location."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        step: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, step = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            step = node.value[part]
            line = step.start_mark.line + 1
        if step is None:
            break
        node = step
    return line


def _absolute_key_files(profile: Profile, folder: Path) -> Profile:
    integrations = []
    for integration in profile.integrations:
        certificates = []
        for certificate in integration.certificates:
            if certificate.public_key_file is not None:
                certificate = certificate.model_copy(
                    update={"public_key_file": str(folder / certificate.public_key_file)}
                )
            certificates.append(certificate)
        integrations.append(integration.model_copy(update={"certificates": certificates}))
    return profile.model_copy(update={"integrations": integrations})
