# Thousands of simulations are run: here the tests' own code is worth optimizing.
file(GLOB simulation CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/vault/simulation*.cpp")
set_source_files_properties(${simulation} PROPERTIES COMPILE_OPTIONS "-O2")
