# SPDX-License-Identifier: Apache-2.0
"""The figure that stands for each task, how people read it, and a network's gain over single-task networks."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple


class Figure(NamedTuple):
    """A metric: its key in ``Metrics.result()``, the text of a table's column, whether less is better, how to print."""

    key: str
    title: str
    lower_is_better: bool
    form: str


# Saliency: maxF in the convention of ATRC and InvPT, which report on these tasks. MTI-Net's score uses sal_miou.
TASK_FIGURES: Dict[str, Figure] = {
    "semseg": Figure("miou", "mIoU, %", False, "{:.2f}"),
    "human_parts": Figure("human_parts_miou", "parts mIoU, %", False, "{:.2f}"),
    "sal": Figure("sal_maxf", "maxF, %", False, "{:.2f}"),
    "depth": Figure("rmse", "RMSE, m", True, "{:.4f}"),
    "normals": Figure("normals_degrees", "mErr, deg", True, "{:.2f}"),
    "edge": Figure("odsf", "odsF, %", False, "{:.2f}"),
}


def delta_mtl(figures: Mapping[str, float], single_task: Mapping[str, float], tasks: List[str]) -> float:
    """Mean over ``tasks`` of the change relative to the single-task networks, in percent; more is better.

    Delta = 1/T sum_t (-1)^(lower is better) (M_t - S_t) / S_t (Maninis et al. 2019, Vandenhende et al. 2020).
    Both mappings hold the tasks' figures by key; a missing or zero reference is an error that names it.
    """
    total = 0.0
    for task in tasks:
        figure = TASK_FIGURES[task]
        for name, values in (("figures", figures), ("single-task figures", single_task)):
            if figure.key not in values:
                raise ValueError(f"Delta_MTL: {name} lack {figure.key} (task {task})")
        reference = single_task[figure.key]
        if reference == 0:
            raise ValueError(f"Delta_MTL: the single-task {figure.key} is 0")
        change = (figures[figure.key] - reference) / reference
        total += -change if figure.lower_is_better else change
    return 100 * total / len(tasks)
