# SPDX-License-Identifier: Apache-2.0
"""Networks: layers, blocks, backbones, decoder and heads, the options of a configuration, and building by them."""
