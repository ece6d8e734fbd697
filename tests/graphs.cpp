// SPDX-License-Identifier: Apache-2.0
#include "graphs.hpp"

namespace test {

Graph small_network() {
  GraphBuilder g;
  Numbers random;
  const NodeId image = g.input(3);
  const NodeId stem =
      g.add("stem", Conv2dNode{.window = square_window(3, 2), .weight = g.floats({18, 3, 3, 3}, random(18 * 27))}, {image});
  const NodeId bits = g.add("sign", BinarizeNode{}, {stem});
  const NodeId body = g.add("body",
                            BinaryConv2dNode{.window = square_window(3),
                                             .weight = g.signs({18, 3, 3, 18}, random(18 * 9 * 18)),
                                             .output = BinaryOutput::bits,
                                             .scale = g.floats({18}, random(18)),
                                             .bias = g.floats({18}, random(18, 8))},
                            {bits});
  const NodeId classes =
      g.add("classes", BinaryConv2dNode{.window = square_window(1), .weight = g.signs({4, 1, 1, 18}, random(4 * 18))}, {body});
  const NodeId maps = g.add("resize", ResizeNode{.factor = 2}, {classes});
  const NodeId depth =
      g.add("depth", Conv2dNode{.window = square_window(1), .weight = g.floats({1, 1, 1, 18}, random(18))}, {stem});
  g.output({.task = "segmentation", .node = maps, .kind = OutputKind::classes, .class_names = {"wall", "floor", "bed", "lamp"}});
  g.output({.task = "depth", .node = depth, .kind = OutputKind::depth});
  return g.build(/*stride=*/2);
}

Graph every_operation() {
  using kernels::ActivationKind;
  GraphBuilder g;
  Numbers random(7);
  const auto channel = [&](std::size_t count, float scale = 1.0f, float shift = 0.0f) {
    return g.floats({count}, random(count, scale, shift));
  };
  const auto prelu = [&](std::size_t count) { return ActivationSpec{.kind = ActivationKind::prelu, .slope = channel(count)}; };
  const auto rprelu = [&](std::size_t count) {
    return ActivationSpec{ActivationKind::rprelu, channel(count), channel(count), channel(count)};
  };
  const auto signs = [&](std::size_t out, std::size_t kernel, std::size_t in) {
    return g.signs({out, kernel, kernel, in}, random(out * kernel * kernel * in));
  };
  const auto floats = [&](std::size_t out, std::size_t kernel, std::size_t in) {
    return g.floats({out, kernel, kernel, in}, random(out * kernel * kernel * in));
  };
  constexpr std::size_t C = 20;

  const NodeId image = g.input(3);
  const NodeId stem = g.add("stem",
                            Conv2dNode{.window = {.kernel = {5, 3}, .stride = {2, 2}, .padding = {2, 1, 0, 2}},
                                       .weight = g.floats({C, 5, 3, 3}, random(C * 45)),
                                       .scale = channel(C),
                                       .bias = channel(C),
                                       .activation = prelu(C)},
                            {image});
  const NodeId depthwise = g.add("depthwise",
                                 Conv2dNode{.window = square_window(3),
                                            .groups = C,
                                            .weight = floats(C, 3, 1),
                                            .bias = channel(C),
                                            .activation = {.kind = ActivationKind::relu6}},
                                 {stem, stem});
  const NodeId grouped =
      g.add("grouped", Conv2dNode{.window = square_window(3, 1, 2), .groups = 2, .weight = floats(C, 3, C / 2)}, {depthwise});
  const NodeId pooled = g.add("max_pool", MaxPool2dNode{{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}}}, {grouped});
  const NodeId average =
      g.add("avg_pool", AvgPool2dNode{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}, .count_include_pad = false},
            {grouped});
  const NodeId sum = g.add("add", AddNode{.activation = rprelu(C)}, {pooled, average, pooled});
  const NodeId affine =
      g.add("affine", AffineNode{.scale = channel(C), .bias = channel(C), .activation = {.kind = ActivationKind::hardtanh}}, {sum});
  const NodeId plain = g.add("sign", BinarizeNode{}, {sum});
  const NodeId shifted = g.add("shifted_sign", BinarizeNode{.shift = channel(C)}, {sum});
  const NodeId scaled = g.add("scaled_sign", BinarizeNode{.scale = channel(C), .shift = channel(C)}, {affine});
  const NodeId integers = g.add(
      "integers", BinaryConv2dNode{.window = square_window(3), .weight = signs(C, 3, C), .output = BinaryOutput::integer}, {plain});
  const NodeId binary = g.add("binary",
                              BinaryConv2dNode{.window = square_window(3),
                                               .weight = signs(C, 3, C),
                                               .alpha = channel(C),
                                               .scale = channel(C),
                                               .bias = channel(C),
                                               .activation = rprelu(C)},
                              {shifted, sum});
  const NodeId folded = g.add("folded",
                              BinaryConv2dNode{.window = square_window(3),
                                               .weight = signs(C, 3, C),
                                               .output = BinaryOutput::bits,
                                               .scale = channel(C),
                                               .bias = channel(C, 9)},
                              {scaled});
  const NodeId binary_groups =
      g.add("binary_groups",
            BinaryConv2dNode{.window = square_window(3, 2), .groups = C, .weight = signs(C, 3, 1), .bias = channel(C)}, {folded});
  std::vector<AttentionConvSpec> target_gates, sources;
  for (int k = 0; k < 2; ++k) target_gates.push_back({.weight = signs(C, 3, C), .scale = channel(C), .bias = channel(C)});
  for (int t = 0; t < 3; ++t) sources.push_back({.weight = signs(C, 3, C), .alpha = channel(C)});
  const NodeId attention = g.add("attention", BinaryAttentionNode{.targets = {2, 0}, .gates = target_gates, .messages = sources},
                                 {plain, shifted, scaled});
  std::vector<AttentionConvSpec> pair_gates, pair_messages;
  for (int i = 0; i < 4; ++i) pair_gates.push_back({.weight = signs(C, 3, C), .bias = channel(C)});
  for (int i = 0; i < 4; ++i) pair_messages.push_back({.weight = signs(C, 3, C), .scale = channel(C), .bias = channel(C)});
  const NodeId pairwise = g.add("pairwise",
                                BinaryAttentionNode{.targets = {0, 1},
                                                    .gate_source = GateSource::source,
                                                    .message_weights = MessageWeights::pairwise,
                                                    .identity = Identity::real,
                                                    .outer_sign = false,
                                                    .gates = pair_gates,
                                                    .messages = pair_messages},
                                {plain, shifted, scaled, sum, binary});
  const NodeId unpacked = g.add("unpack", UnpackNode{}, {attention});
  const NodeId joined = g.add("concat", ConcatNode{}, {unpacked, pairwise});
  const NodeId softmax = g.add("softmax", SoftmaxNode{.group = 4}, {joined});
  const NodeId product = g.add("multiply", MultiplyNode{}, {joined, softmax});
  const NodeId part = g.add("slice", SliceNode{.begin = 13, .end = 33}, {product});
  const NodeId excite = g.add("squeeze_excite",
                              SqueezeExciteNode{.reduce_weight = g.floats({5, C}, random(5 * C)),
                                                .reduce_bias = channel(5),
                                                .expand_weight = g.floats({C, 5}, random(5 * C)),
                                                .expand_bias = channel(C)},
                              {part});
  const NodeId mean = g.add("mean", AdaptiveAvgPool2dNode{}, {excite});
  const NodeId linear = g.add(
      "linear",
      LinearNode{.weight = g.floats({C, C}, random(C * C)), .bias = channel(C), .activation = {.kind = ActivationKind::sigmoid}},
      {mean});
  const NodeId gated = g.add("gated", MultiplyNode{}, {binary, linear});
  const NodeId bit_parts = g.add("bit_slice", SliceNode{.begin = 3, .end = 38}, {attention});
  const NodeId bit_join = g.add("bit_concat", ConcatNode{}, {bit_parts, folded});
  const NodeId bit_pool = g.add("bit_pool", MaxPool2dNode{{.kernel = {2, 2}, .stride = {2, 2}}}, {bit_join});
  const NodeId bit_up = g.add("bit_nearest", ResizeNode{.mode = ResizeMode::nearest}, {bit_pool, gated});
  const NodeId bit_floats = g.add("bit_unpack", UnpackNode{}, {bit_up});
  const NodeId small = g.add("bilinear_size", ResizeNode{.size = {5, 7}}, {gated});
  const NodeId nearest = g.add("nearest", ResizeNode{.mode = ResizeMode::nearest, .factor = 3}, {small});
  const NodeId normals = g.add("normals", Conv2dNode{.window = square_window(1), .weight = floats(3, 1, C)}, {gated});
  const NodeId unit = g.add("l2", L2NormalizeNode{}, {normals});
  const NodeId up = g.add("bilinear", ResizeNode{.factor = 4}, {unit});
  const NodeId relu = g.add("relu", ActivationNode{{.kind = ActivationKind::relu}}, {bit_floats});
  g.output({.task = "normals", .node = up, .kind = OutputKind::normals});
  g.output({.task = "small", .node = nearest});
  g.output({.task = "bits", .node = bit_up});
  g.output({.task = "integers", .node = integers});
  g.output({.task = "relu", .node = relu});
  g.output({.task = "groups", .node = binary_groups});
  return g.build(/*stride=*/4);
}

Tensor<std::uint8_t> noise_photo(std::size_t height, std::size_t width, std::uint32_t seed) {
  Tensor<std::uint8_t> photo({height, width, 3});
  Numbers random(seed);
  for (std::uint8_t& value : photo.span()) value = static_cast<std::uint8_t>((random.next() + 1.0f) * 127.0f);
  return photo;
}

}  // namespace test
