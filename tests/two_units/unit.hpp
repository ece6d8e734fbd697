// SPDX-License-Identifier: Apache-2.0
// The work that both translation units do: two networks on every tier; the result as one hexadecimal line a tier.
#pragma once

#include <bimtdp/bimtdp.hpp>

#include "../graphs.hpp"

#include <string>

namespace {

std::string results() {
  const bimtdp::Model model(test::every_operation());
  const bimtdp::Image photo = bimtdp::self_test_photo(24, 28, 1);
  std::string text;
  for (const bimtdp::kernels::KernelTable* table : bimtdp::kernels::tables()) {
    bimtdp::Runner runner(model, {.threads = 2, .kernels = table});
    text += table->name;
    for (const auto& task : runner.run(photo)) text.append(" ").append(bimtdp::digest(std::as_bytes(task.map.span())));
    text += '\n';
  }
  return text;
}

}  // namespace
