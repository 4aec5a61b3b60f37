# cmake --install: libraries, header, package files for CMake and pkg-config, licences.

include(CMakePackageConfigHelpers)

install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/include/sortie.h"
    "${CMAKE_CURRENT_SOURCE_DIR}/include/sortie.hpp"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

if(SORTIE_SHARED)
    if(WIN32)
        install(PROGRAMS "${_staged}/${sortie_shared_file}" DESTINATION "${CMAKE_INSTALL_BINDIR}")
        install(FILES "${_staged}/${sortie_import_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    else()
        install(PROGRAMS "${_staged}/${sortie_shared_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
        foreach(_link IN LISTS sortie_shared_links)
            install(FILES "${_staged}/${_link}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
        endforeach()
    endif()
endif()
if(SORTIE_STATIC)
    install(FILES "${_staged}/${sortie_static_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()

install(FILES LICENSE-MIT LICENSE-APACHE THIRD-PARTY-NOTICES DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/sortie")

# ---- find_package(sortie CONFIG) ----------------------------------------

set(_config "${CMAKE_INSTALL_LIBDIR}/cmake/sortie")
configure_package_config_file("${CMAKE_CURRENT_SOURCE_DIR}/cmake/sortieConfig.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/sortieConfig.cmake"
    INSTALL_DESTINATION "${_config}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/sortieConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/sortieConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/sortieConfigVersion.cmake"
    DESTINATION "${_config}")

# ---- pkg-config ----------------------------------------

# Relative to the file's own folder, so that the whole can be moved.
file(RELATIVE_PATH _prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(sortie_pc_prefix "${CMAKE_INSTALL_PREFIX}")
    set(sortie_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
    string(REGEX REPLACE "/$" "" _prefix "${_prefix}")
    set(sortie_pc_prefix "\${pcfiledir}/${_prefix}")
    set(sortie_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
set(_libraries "${sortie_system_libraries}")
list(TRANSFORM _libraries PREPEND "-l" REGEX "^[^-]")
list(JOIN _libraries " " _libraries)
if(SORTIE_SHARED)
    set(sortie_pc_private "${_libraries} ${CMAKE_THREAD_LIBS_INIT}")
    set(sortie_pc_public "")
else()
    set(sortie_pc_private "")
    set(sortie_pc_public " ${_libraries} ${CMAKE_THREAD_LIBS_INIT}")
endif()
configure_file("${CMAKE_CURRENT_SOURCE_DIR}/cmake/sortie.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/sortie.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sortie.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
