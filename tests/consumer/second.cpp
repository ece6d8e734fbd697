// SPDX-License-Identifier: Apache-2.0
// A second translation unit with the whole library: everything in it must be inline.
#include <bimtdp/bimtdp.hpp>

#include <string>

std::string version_of_second_unit() { return bimtdp::version; }
