# SPDX-License-Identifier: Apache-2.0
"""The benchmark suite: this library and its peers, measured in one run. Start it with scripts/benchmark.sh."""
