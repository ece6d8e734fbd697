// SPDX-License-Identifier: Apache-2.0
// What the values of a task's map mean: it decides how they are read at a photo's size and drawn.
#pragma once

namespace bimtdp {

enum class OutputKind {
  classes,  ///< a score per class and pixel, one channel a class; the largest wins
  depth,    ///< metres, 1 channel
  normals,  ///< surface normals of any length, 3 channels
  edges,    ///< edge scores before the sigmoid, 1 channel
  raw       ///< anything else, any number of channels
};

}  // namespace bimtdp
