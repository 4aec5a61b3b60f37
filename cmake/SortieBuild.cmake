# Runs cargo, and offers what it makes as sortie::sortie and sortie::sortie_static.

find_program(SORTIE_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" "$ENV{USERPROFILE}/.cargo/bin"
    DOC "Rust's cargo")
if(NOT SORTIE_CARGO)
    message(FATAL_ERROR "Sortie is built by cargo, which is not found: "
        "install Rust from https://rustup.rs, or set SORTIE_CARGO")
endif()
if(NOT SORTIE_SHARED AND NOT SORTIE_STATIC)
    message(FATAL_ERROR "SORTIE_SHARED and SORTIE_STATIC are both off: there is nothing to build")
endif()
find_package(Threads REQUIRED)

# What cargo calls its libraries, what they are called here, and what a program needs beside the static one.
set(sortie_static_file "${CMAKE_STATIC_LIBRARY_PREFIX}sortie${CMAKE_STATIC_LIBRARY_SUFFIX}")
set(sortie_system_libraries ${CMAKE_DL_LIBS})
if(WIN32)
    set(_cargo_shared sortie.dll)
    set(sortie_shared_file sortie.dll)
    if(MSVC)
        set(_cargo_import sortie.dll.lib)
        # The import library would take the static library's name.
        set(sortie_static_file sortie_static.lib)
        set(_cargo_static sortie.lib)
    else()
        set(_cargo_import libsortie.dll.a)
        set(_cargo_static libsortie.a)
    endif()
    set(sortie_import_file "${CMAKE_IMPORT_LIBRARY_PREFIX}sortie${CMAKE_IMPORT_LIBRARY_SUFFIX}")
    set(sortie_system_libraries advapi32 bcrypt crypt32 iphlpapi ncrypt ntdll secur32 userenv ws2_32)
elseif(APPLE)
    set(_cargo_shared libsortie.dylib)
    set(_cargo_static libsortie.a)
    set(sortie_shared_file "libsortie.${sortie_ABI}.dylib")
    set(sortie_soname "@rpath/libsortie.${sortie_ABI}.dylib")
    set(sortie_shared_links libsortie.dylib)
    set(sortie_system_libraries "-framework CoreFoundation" "-framework CoreServices" "-framework Security"
        "-framework SystemConfiguration" iconv)
else()
    set(_cargo_shared libsortie.so)
    set(_cargo_static libsortie.a)
    set(sortie_soname "libsortie.so.${sortie_ABI}")
    set(sortie_shared_file "libsortie.so.${PROJECT_VERSION}")
    set(sortie_shared_links "${sortie_soname}" libsortie.so)
    list(APPEND sortie_system_libraries m)
endif()

# ---- cargo ----------------------------------------

if(SORTIE_CARGO_PROFILE STREQUAL "dev")
    set(_folder debug)
else()
    set(_folder "${SORTIE_CARGO_PROFILE}")
endif()
set(_made "${SORTIE_CARGO_TARGET_DIR}/${_folder}")
# Only what is asked for: beside a Rust library, cargo would leave link-time optimisation out.
set(_crate_types "")
if(SORTIE_SHARED)
    list(APPEND _crate_types cdylib)
endif()
if(SORTIE_STATIC)
    list(APPEND _crate_types staticlib)
endif()
list(JOIN _crate_types "," _crate_types)
set(_arguments rustc --package sortie --lib --crate-type "${_crate_types}" --profile "${SORTIE_CARGO_PROFILE}" --locked
    --target-dir "${SORTIE_CARGO_TARGET_DIR}")
if(SORTIE_CARGO_TARGET)
    set(_made "${SORTIE_CARGO_TARGET_DIR}/${SORTIE_CARGO_TARGET}/${_folder}")
    list(APPEND _arguments --target "${SORTIE_CARGO_TARGET}")
endif()
if(SORTIE_CARGO_FEATURES)
    list(APPEND _arguments --features "${SORTIE_CARGO_FEATURES}")
endif()

set(_products "")
if(SORTIE_SHARED)
    list(APPEND _products "${_made}/${_cargo_shared}")
    if(WIN32)
        list(APPEND _products "${_made}/${_cargo_import}")
    endif()
endif()
if(SORTIE_STATIC)
    list(APPEND _products "${_made}/${_cargo_static}")
endif()
# Always run, since only cargo knows what has changed; inside the source folder, for the sake of .cargo/config.toml.
add_custom_target(sortie_cargo
    COMMAND "${CMAKE_COMMAND}" -E env --unset=CARGO_BUILD_TARGET "${SORTIE_CARGO}" ${_arguments}
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    BYPRODUCTS ${_products}
    COMMENT "Building Sortie with cargo"
    USES_TERMINAL
    VERBATIM)

# ---- What the targets point to: the same files that are installed ----------------------------------------

set(_staged "${CMAKE_CURRENT_BINARY_DIR}/lib")
file(MAKE_DIRECTORY "${_staged}")
set(sortie_staged_files "")

# Copies one of cargo's files, stripped of debug information if so wished.
function(sortie_stage from to)
    if(SORTIE_STRIP AND CMAKE_STRIP AND NOT MSVC AND to STREQUAL sortie_shared_file)
        if(APPLE)
            set(_copy "${CMAKE_STRIP}" -S -x -o "${_staged}/${to}" "${_made}/${from}")
        else()
            set(_copy "${CMAKE_STRIP}" --strip-unneeded -o "${_staged}/${to}" "${_made}/${from}")
        endif()
    else()
        set(_copy "${CMAKE_COMMAND}" -E copy "${_made}/${from}" "${_staged}/${to}")
    endif()
    add_custom_command(OUTPUT "${_staged}/${to}"
        COMMAND ${_copy}
        DEPENDS sortie_cargo "${_made}/${from}"
        VERBATIM)
    set(sortie_staged_files ${sortie_staged_files} "${_staged}/${to}" PARENT_SCOPE)
endfunction()

if(SORTIE_SHARED)
    sortie_stage("${_cargo_shared}" "${sortie_shared_file}")
    set(_previous "${sortie_shared_file}")
    foreach(_link IN LISTS sortie_shared_links)
        add_custom_command(OUTPUT "${_staged}/${_link}"
            COMMAND "${CMAKE_COMMAND}" -E create_symlink "${_previous}" "${_staged}/${_link}"
            DEPENDS "${_staged}/${_previous}"
            VERBATIM)
        list(APPEND sortie_staged_files "${_staged}/${_link}")
        set(_previous "${_link}")
    endforeach()
    if(WIN32)
        sortie_stage("${_cargo_import}" "${sortie_import_file}")
    endif()
endif()

if(SORTIE_STATIC)
    add_custom_command(OUTPUT "${_staged}/${sortie_static_file}"
        COMMAND "${CMAKE_COMMAND}"
            "-DARCHIVE=${_made}/${_cargo_static}"
            "-DOUTPUT=${_staged}/${sortie_static_file}"
            "-DSYSTEM=${CMAKE_SYSTEM_NAME}"
            "-DSTRIP_DEBUG=${SORTIE_STRIP}"
            "-DLINKER=${CMAKE_LINKER}" "-DOBJCOPY=${CMAKE_OBJCOPY}" "-DAR=${CMAKE_AR}" "-DNM=${CMAKE_NM}"
            -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/isolate-static.cmake"
        DEPENDS sortie_cargo "${_made}/${_cargo_static}" "${CMAKE_CURRENT_SOURCE_DIR}/cmake/isolate-static.cmake"
        COMMENT "Hiding what the static library contains"
        VERBATIM)
    list(APPEND sortie_staged_files "${_staged}/${sortie_static_file}")
endif()

add_custom_target(sortie_libraries ALL DEPENDS ${sortie_staged_files})

# ---- Targets ----------------------------------------

set(_include "${CMAKE_CURRENT_SOURCE_DIR}/include")
if(SORTIE_SHARED)
    add_library(sortie::sortie SHARED IMPORTED GLOBAL)
    set_target_properties(sortie::sortie PROPERTIES
        IMPORTED_LOCATION "${_staged}/${sortie_shared_file}"
        INTERFACE_INCLUDE_DIRECTORIES "${_include}")
    if(WIN32)
        set_target_properties(sortie::sortie PROPERTIES IMPORTED_IMPLIB "${_staged}/${sortie_import_file}")
    elseif(sortie_soname)
        set_target_properties(sortie::sortie PROPERTIES IMPORTED_SONAME "${sortie_soname}")
    endif()
    add_dependencies(sortie::sortie sortie_libraries)
endif()
if(SORTIE_STATIC)
    add_library(sortie::sortie_static STATIC IMPORTED GLOBAL)
    set_target_properties(sortie::sortie_static PROPERTIES
        IMPORTED_LOCATION "${_staged}/${sortie_static_file}"
        INTERFACE_INCLUDE_DIRECTORIES "${_include}"
        INTERFACE_LINK_LIBRARIES "Threads::Threads;${sortie_system_libraries}")
    add_dependencies(sortie::sortie_static sortie_libraries)
endif()
