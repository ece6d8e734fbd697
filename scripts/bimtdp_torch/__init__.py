# SPDX-License-Identifier: Apache-2.0
"""PyTorch side of bimtdp: binary multi-task dense predictors, their training and evaluation."""
