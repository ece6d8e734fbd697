// SPDX-License-Identifier: Apache-2.0
// BIMTDP_INLINE: what is declared with it is defined in the .inl beside its header. As a rule every file that includes the header
// has the definitions, too. Where BIMTDP_COMPILED is defined for all files of a program, the one that includes
// <bimtdp/compiled.hpp> has them (CMake: link bimtdp::compiled), and the others compile in a tenth of the time.
#pragma once

#if defined(BIMTDP_COMPILED)
#define BIMTDP_INLINE
#else
#define BIMTDP_INLINE inline
#endif
