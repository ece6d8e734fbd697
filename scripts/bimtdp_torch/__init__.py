# SPDX-License-Identifier: Apache-2.0
"""PyTorch side of bimtdp: binary multi-task dense predictors, their training and evaluation.

A room imports only rooms before it: files, configuration, machine, programs, checkpoints (plain files and the machine);
networks; data; export (to the model file and back); sources (networks from files); metrics; training; analysis; results.
"""
