# SPDX-License-Identifier: Apache-2.0
# Install rules: headers, licence and the CMake package. Everything is relocatable and free of the machine's architecture.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(bimtdp_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/bimtdp")
target_include_directories(bimtdp INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY include/bimtdp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inl")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/bimtdp")
install(TARGETS bimtdp EXPORT bimtdpTargets)
install(EXPORT bimtdpTargets NAMESPACE bimtdp:: DESTINATION "${bimtdp_package_dir}")
configure_package_config_file(scripts/cmake/bimtdpConfig.cmake.in "${PROJECT_BINARY_DIR}/bimtdpConfig.cmake"
  INSTALL_DESTINATION "${bimtdp_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/bimtdpConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/bimtdpConfig.cmake" "${PROJECT_BINARY_DIR}/bimtdpConfigVersion.cmake"
  scripts/cmake/bimtdpDependencies.cmake DESTINATION "${bimtdp_package_dir}")
