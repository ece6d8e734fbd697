// SPDX-License-Identifier: Apache-2.0
// bimtdp runs binary multi-task dense predictors on CPUs: one photo in, a map per task out (classes, depth, normals,
// edges), with weights and activations of one bit, and the same bits of result on every CPU.
//
//   #include <bimtdp/bimtdp.hpp>
//
//   const bimtdp::Model model = bimtdp::Model::load("model.safetensors");
//   const bimtdp::Image photo = ...;                       // 8-bit RGB; height and width multiples of model.stride()
//   const bimtdp::Predictions maps = model.run(photo);
//   const bimtdp::Tensor<float>& depth = maps["depth"];    // depth(y, x, 0)
//
// The rooms, each using only those before it:
//   core     what data is: Tensor, BitTensor, Shape, Error
//   simd     what the machine can do: instruction tiers, chosen at run time (BIMTDP_ISA=avx2, say, forces one)
//   kernels  loops over raw memory, one table of functions per tier
//   ops      one tensor operation a file
//   image    pixels at both ends: normalise, resize, colour the maps
//   graph    a network as a list of nodes, validated once, and all that is known of each operation
//   plan     how a network runs at one size: steps, schedule, places of the values
//   run      now: the team of threads, profile
//   io       bytes in: Model, Runner, the model file
//
// Everything wrong with a file, a shape or an argument is thrown as bimtdp::Error. The library never prints or aborts.
#pragma once

#include <bimtdp/version.hpp>

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/core/shape.hpp>
#include <bimtdp/core/tensor.hpp>

#include <bimtdp/kernels/select.hpp>

#include <bimtdp/image/colour.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/image/picture.hpp>
#include <bimtdp/image/postprocess.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/image/resize.hpp>
#include <bimtdp/image/size.hpp>

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/graph/graph_builder.hpp>
#include <bimtdp/graph/program.hpp>

#include <bimtdp/plan/plan.hpp>
#include <bimtdp/run/describe.hpp>
#include <bimtdp/run/profile.hpp>
#include <bimtdp/run/rates.hpp>
#include <bimtdp/run/run.hpp>

#include <bimtdp/io/model.hpp>
#include <bimtdp/io/npy.hpp>
#include <bimtdp/io/photo.hpp>
#include <bimtdp/io/runner.hpp>
#include <bimtdp/io/trace.hpp>
