# SPDX-License-Identifier: Apache-2.0
"""Reads the YAML files of scripts/configs: a file may name others that it builds on.

    base: common/nyud.yaml            # or a list; paths are relative to the file that names them
    network: {name: bi_mtdp}          # what a file says wins over its bases, later bases over earlier ones

Mappings are merged key by key, everything else (lists and null included) replaces what the base had.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Collection, Dict, Mapping, Tuple

import yaml


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> Dict[str, Any]:
    """``base`` with the values of ``override`` put over it; neither is changed."""
    result = dict(base)
    for key, value in override.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def _read(path: Path, readers: Tuple[Path, ...]) -> Dict[str, Any]:
    path = path.resolve()
    if path in readers:
        raise ValueError(f"{path}: 'base' leads back to the file itself ({' -> '.join(p.name for p in (*readers, path))})")
    if not path.is_file():
        raise ValueError(f"{path}: no such configuration" + (f" (base of {readers[-1].name})" if readers else ""))
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a configuration is a mapping, got {type(content).__name__}")
    bases = content.pop("base", [])
    result: Dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        result = merge(result, _read(path.parent / base, (*readers, path)))
    return merge(result, content)


def read_config(path: Path) -> Dict[str, Any]:
    """The resolved configuration of a YAML file, without ``base``; ``name`` defaults to the file's name."""
    path = Path(path)
    config = _read(path, ())
    if "name" not in yaml.safe_load(path.read_text()):  # a base's name is not this file's
        config["name"] = path.stem
    return config


def dump_config(config: Mapping[str, Any]) -> str:
    """YAML of a resolved configuration, short lists on one line."""
    return yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, width=110)


def check_keys(section: Any, known: Collection[str], where: str) -> None:
    """ValueError unless ``section`` is a mapping whose keys are all ``known``; ``where`` names it."""
    if not isinstance(section, Mapping):
        raise ValueError(f"{where}: expected a mapping, got {section!r}")
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise ValueError(
                f"{where}: unknown option {key!r}" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
            )


def changed_options(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Dotted name -> (before, now) of what differs between two configurations."""
    result: Dict[str, Any] = {}
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            result.update(changed_options(old, new, f"{prefix}{key}."))
        elif old != new:
            result[f"{prefix}{key}"] = (old, new)
    return result
