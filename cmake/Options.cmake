# Warnings, hardening and sanitizers: one interface library that every target links.
set(NODED_SANITIZE "" CACHE STRING "sanitizers to build with: address,undefined or thread")
set(NODED_HARDEN ON CACHE BOOL "fortify, stack protector, full RELRO, PIE")

add_library(noded_options INTERFACE)
target_compile_definitions(noded_options INTERFACE _GNU_SOURCE NODED_VERSION="${PROJECT_VERSION}")
target_compile_options(noded_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wcast-qual -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough -fno-common -fno-strict-aliasing)

if(NODED_SANITIZE)
  target_compile_options(noded_options INTERFACE
    -fsanitize=${NODED_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(noded_options INTERFACE -fsanitize=${NODED_SANITIZE})
endif()

if(NODED_HARDEN)
  target_compile_options(noded_options INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  target_link_options(noded_options INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
  if(NOT NODED_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(noded_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  include(CheckPIESupported)
  check_pie_supported()
endif()
