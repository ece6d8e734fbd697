# SPDX-License-Identifier: Apache-2.0
"""The options of a ``network`` section (of scripts/configs/*.yaml): what each means, its type, default and choices.

Each names the networks on which it has an effect and is refused on others: whoever gives it expects another network than
the one that would be built.
"""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Tuple

from ..configuration import check_keys
from . import efficientnet_lite, hrnet, resnet
from .attention import BinaryAttention
from .bottleneck import MU_KINDS
from .heads import HEADS
from .style import PRESETS, BinaryStyle, make_style

Section = Mapping[str, Any]

# dataset -> (tasks, auxiliary tasks); the order fixes the channel order inside the feature propagation.
DATASETS: Dict[str, Tuple[Dict[str, int], Dict[str, int]]] = {
    "nyud2": ({"semseg": 40, "depth": 1}, {"semseg": 40, "depth": 1}),
    "nyud2_aux": ({"semseg": 40, "depth": 1}, {"semseg": 40, "normals": 3, "edge": 1, "depth": 1}),
    "nyud4": ({"semseg": 40, "normals": 3, "edge": 1, "depth": 1},) * 2,
    "pascal5": ({"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3, "edge": 1},) * 2,
    "pascal_small": ({"semseg": 21, "human_parts": 7, "sal": 1},) * 2,
}
NETWORKS = ("single_task", "multi_task", "mti_net", "bi_mtdp", "bi_mtdp_f", "bi_mtdp_c")
SCOPES = ("mmd", "mmd+fpm", "decoder")
REQUIRED, ABSENT = object(), object()
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a mapping", list: "a list"}


# -- kinds of networks -----------------------------------------------------------------------------------------------


def is_baseline(section: Section) -> bool:
    """A network without MTI-Net's decoder."""
    return section["name"] in ("single_task", "multi_task")


def has_binary_backbone(section: Section) -> bool:
    """Whether the backbone is binary, too."""
    return section["binary"] if is_baseline(section) else section["name"] in ("bi_mtdp", "bi_mtdp_f")


def _has_binary_decoder(section: Section) -> bool:
    return section["name"] in ("bi_mtdp", "bi_mtdp_f", "bi_mtdp_c")


def _has_style(section: Section) -> bool:
    return has_binary_backbone(section) or _has_binary_decoder(section)


def _on(*families: Mapping[str, Any]) -> Callable[[Section], bool]:
    """Networks on a backbone of these families' sizes."""
    return lambda section: any(section["backbone"] in sizes for sizes in families)


# -- defaults that depend on other options -------------------------------------------------------------------------------


def _widths(section: Section) -> Any:
    if section["backbone"] in efficientnet_lite.SIZES:
        return list(efficientnet_lite.WIDTHS)
    if not is_baseline(section) and resnet.SIZES[section["backbone"]][1]:
        return [64, 128, 256, 512]  # the own maps of bottleneck ResNets have up to 2048 channels
    return ABSENT


def _style(section: Section) -> Dict[str, Any]:
    changes = dict(section.get("style", {}))
    if "binarize_1x1" in section:
        changes["binarize_1x1"] = section["binarize_1x1"]
    return asdict(make_style(section["preset"], changes))


def _attention(section: Section) -> Dict[str, Any]:
    parameters = inspect.signature(BinaryAttention.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "binary_sources"}
    given = section.get("attention", {})
    check_keys(given, defaults, "network.attention")
    return {**defaults, **BinaryStyle(**section["style"]).attention_options(), **given}


def _vib(section: Section) -> Any:
    if "vib" not in section and section["name"] != "bi_mtdp_f":
        return ABSENT
    vib = {"mu": "float", **section.get("vib", {})}
    check_keys(vib, ("mu",), "network.vib")
    _check_choice("vib.mu", vib["mu"], MU_KINDS)
    return vib


# -- the options ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """One option. Its functions get the section with the values, given or default, of all options above it.

    ``default``: a value, a function, REQUIRED, or ABSENT (then it stays away); that of a mapping is a function that
    completes what is given. ``of``: on which networks it has an effect.
    """

    name: str
    kind: type
    meaning: str
    default: Any = REQUIRED
    of: Callable[[Section], bool] = lambda section: True
    choices: Optional[Callable[[Section], Collection[str]]] = None

    def value(self, section: Section) -> Any:
        """What is given, or the default."""
        if self.name in section and self.kind is not dict:
            return section[self.name]
        return self.default(section) if callable(self.default) else self.default


OPTIONS = (
    Option(
        "name",
        str,
        "kind of network; bi_mtdp_f has the information bottleneck, bi_mtdp_c a float backbone",
        choices=lambda s: NETWORKS,
    ),
    Option(
        "backbone",
        str,
        "hrnet_w18, w32, w48; resnet18, 50, 101; or efficientnet_lite0, 1, 2 (float only)",
        choices=lambda s: (*hrnet.SIZES, *resnet.SIZES, *efficientnet_lite.SIZES),
    ),
    Option("dataset", str, "tasks and their output channels", choices=lambda s: DATASETS),
    Option(
        "task",
        str,
        "which of the dataset's tasks",
        of=lambda s: s["name"] == "single_task",
        choices=lambda s: DATASETS[s["dataset"]][0],
    ),
    Option("segmentation_classes", int, "in place of the dataset's number", lambda s: DATASETS[s["dataset"]][0]["semseg"]),
    Option("binary", bool, "backbone and head are binary", False, is_baseline),
    Option(
        "head",
        str,
        "all maps joined at the finest (hrnet), or ASPP on the last one (deeplab)",
        lambda s: "deeplab" if s["backbone"] in resnet.SIZES else "hrnet",
        is_baseline,
        lambda s: HEADS,
    ),
    Option(
        "dropout",
        float,
        "in front of the heads' last layer (DeepLab: behind ASPP)",
        lambda s: 0.5 if s.get("head") == "deeplab" else 0.0,
    ),
    Option("stem_width", int, "channels of the stem's two convolutions", 64, _on(hrnet.SIZES)),
    Option(
        "conv2_binary",
        bool,
        "whether the stem's second convolution is binary",
        True,
        lambda s: s["backbone"] in hrnet.SIZES and has_binary_backbone(s),
    ),
    Option("dilated", bool, "output stride 8 (MTI-Net's decoder needs strides to 32)", is_baseline, _on(resnet.SIZES)),
    Option(
        "widths",
        list,
        "four widths to which 1x1 convolutions project the maps",
        _widths,
        _on(resnet.SIZES, efficientnet_lite.SIZES),
    ),
    Option(
        "c_scope",
        str,
        "what is binary: the distillation (mmd), the feature propagation, too, or the whole decoder",
        "mmd",
        lambda s: s["name"] == "bi_mtdp_c",
        lambda s: SCOPES,
    ),
    Option("preset", str, "style of binary units (style.py)", "bimtdp", _has_style, lambda s: sorted(PRESETS)),
    Option("binarize_1x1", bool, "1x1 shortcuts, fusions and masks are binary, too (as in ``style``)", ABSENT, _has_style),
    Option("style", dict, "single choices that differ from the preset, see BinaryStyle", _style, _has_style),
    Option("attention", dict, "options of the binarized attention, see BinaryAttention", _attention, _has_binary_decoder),
    Option("distillation_modules", int, "how many a scale applies one after another", 1, lambda s: not is_baseline(s)),
    Option(
        "head_binary", bool, "whether the heads' hidden layer is binary", lambda s: s["name"] != "bi_mtdp_c", _has_binary_decoder
    ),
    Option(
        "mask_binary", bool, "whether the 1x1 convolutions of the propagation's mask branch are binary", False, _has_binary_decoder
    ),
    Option(
        "vib",
        dict,
        "{mu: float | binary_input | binary}: information bottleneck behind the backbone; without it, only bi_mtdp_f has one",
        _vib,
    ),
)


# -- a section -----------------------------------------------------------------------------------------------------------


def _check_type(option: Option, value: Any) -> None:
    kinds: Any = {float: (int, float), list: (list, tuple), dict: Mapping}.get(option.kind, option.kind)
    if not isinstance(value, kinds) or (isinstance(value, bool) and option.kind is not bool):
        raise ValueError(f"network.{option.name} must be {_WORDS[option.kind]}, got {value!r}")
    if option.kind is int and value < 1:
        raise ValueError(f"network.{option.name} must be at least 1, got {value}")


def _check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    if value is REQUIRED:
        raise ValueError(f"network.{name} is missing (one of {', '.join(choices)})")
    if value not in choices:
        raise ValueError(f"network.{name} must be one of {', '.join(choices)}, got {value!r}")


def _check_together(section: Section) -> None:
    """What single options cannot tell."""
    name, backbone = section["name"], section["backbone"]
    if backbone in efficientnet_lite.SIZES and has_binary_backbone(section):
        raise ValueError(f"{backbone} has no binary form; use it with single_task or multi_task in float, mti_net or bi_mtdp_c")
    if len(section.get("widths", range(4))) != 4:
        raise ValueError(f"network.widths: expected four widths, got {list(section['widths'])}")
    if section.get("dilated") and not is_baseline(section):
        raise ValueError(f"network.dilated: MTI-Net's decoder needs strides 4 to 32, so {backbone} cannot be dilated")
    scope = section.get("c_scope", "decoder")
    for key in ("mask_binary", "binarize_1x1"):
        if scope == "mmd" and section.get(key):
            raise ValueError(f"network.{key} has no effect on {name} with c_scope mmd")
    if scope != "decoder" and section["attention"]["input_binarizer"] == "sign":
        raise ValueError(
            "network.attention.input_binarizer: the sign of float features, which come from a ReLU, is "
            "always +1; take bn_sign or rsign"
        )


def resolve_network(section: Section) -> Dict[str, Any]:
    """``section`` with every default written out; it builds the same network, also where a later version has other defaults.
    ValueError: an option is missing, unknown, of another type or value, or without effect."""
    check_keys(section, [option.name for option in OPTIONS], "network")
    for option in OPTIONS:
        if option.name in section:
            _check_type(option, section[option.name])
    result: Dict[str, Any] = {}
    for option in OPTIONS:
        known = {**section, **result}
        if not option.of(known):
            if option.name in section:
                raise ValueError(f"network.{option.name} has no effect on {known['name']} with the backbone {known['backbone']}")
            continue
        value = option.value(known)
        if option.choices:
            _check_choice(option.name, value, option.choices(known))
        if value is not ABSENT:
            result[option.name] = value
    _check_together(result)
    return result
