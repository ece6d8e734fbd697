# SPDX-License-Identifier: Apache-2.0
"""Looks into trained networks: similarity of layers (CKA), maps of features (t-SNE), Grad-CAM, contact sheets."""
