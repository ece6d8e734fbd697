# SPDX-License-Identifier: Apache-2.0
"""Data sets: NYUD and PASCAL-Context read, augmented and cut into batches, and photos without labels."""
