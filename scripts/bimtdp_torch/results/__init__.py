# SPDX-License-Identifier: Apache-2.0
"""Figures of trained runs: one record (a small JSON file) a run, and tables made from the records alone."""
