// SPDX-License-Identifier: Apache-2.0
// Compiled with the default flags.
#include "unit.hpp"

std::string plain_results() { return results(); }
