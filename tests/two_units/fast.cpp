// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX2, as a user may do with one file of a program.
#include "unit.hpp"

std::string fast_results() { return results(); }
