# Makes a static library that defines sortie_* and no other global symbol, out of cargo's, which also shows every symbol
# of libcurl, OpenSSL, zlib, zstd, nghttp2 and Rust's standard library. A game engine links its own copies of these.
#
#   cmake -DARCHIVE= -DOUTPUT= -DSYSTEM= -DSTRIP_DEBUG= -DLINKER= -DOBJCOPY= -DAR= -DNM= -P isolate-static.cmake
#
# All that the exports need becomes one object, in which everything else is made local.
cmake_minimum_required(VERSION 3.20)

function(run what)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${what} failed: ${result}\n${error}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

function(need)
    foreach(tool IN LISTS ARGN)
        if(NOT ${tool} OR ${tool} MATCHES "NOTFOUND$")
            message(FATAL_ERROR "isolating the static library needs ${tool}, which CMake did not find: "
                "install binutils, set CMAKE_${tool}, or turn SORTIE_STATIC off")
        endif()
    endforeach()
endfunction()

# Names of the functions that the header declares, as the archive spells them.
function(find_exports prefix)
    run("listing the symbols" "${NM}" -g "${ARCHIVE}")
    string(REGEX MATCHALL " T ${prefix}sortie_[a-z0-9_]+" found "${output}")
    list(TRANSFORM found REPLACE "^ T " "")
    list(REMOVE_DUPLICATES found)
    list(SORT found)
    if(NOT found)
        message(FATAL_ERROR "${ARCHIVE} defines no sortie_* function")
    endif()
    set(exports ${found} PARENT_SCOPE)
endfunction()

# ELF, by GNU binutils.
function(isolate_elf)
    need(LINKER OBJCOPY AR NM)
    run("asking the linker for its name" "${LINKER}" --version)
    if(output MATCHES "LLD")
        message(FATAL_ERROR "LLVM's linker cannot collect garbage in a partial link: set CMAKE_LINKER to GNU's ld")
    endif()
    find_exports("")
    set(roots ${exports})
    list(TRANSFORM roots PREPEND "--undefined=")
    # Section groups are dissolved: the final link would drop those that another Rust library has too, and with them
    # what is local here. -d, since a common symbol cannot be made local.
    run("merging the objects" "${LINKER}" --relocatable --gc-sections --force-group-allocation -d
        ${roots} -o "${object}" "${ARCHIVE}")
    set(keep ${exports})
    list(TRANSFORM keep PREPEND "--keep-global-symbol=")
    if(STRIP_DEBUG)
        list(APPEND keep --strip-debug --strip-unneeded)
    endif()
    run("hiding the symbols" "${OBJCOPY}" ${keep} --remove-section=.llvmbc --remove-section=.llvmcmd "${object}")
    run("making the archive" "${AR}" rcs "${OUTPUT}" "${object}")
endfunction()

# Apple's linker hides by itself. Not tested.
function(isolate_mach_o)
    need(LINKER AR NM)
    find_exports("_")
    set(keep "")
    set(roots "")
    foreach(export IN LISTS exports)
        list(APPEND keep -exported_symbol "${export}")
        list(APPEND roots -u "${export}")
    endforeach()
    run("merging the objects" "${LINKER}" -r ${roots} ${keep} -o "${object}" "${ARCHIVE}")
    run("making the archive" "${AR}" rcs "${OUTPUT}" "${object}")
endfunction()

get_filename_component(folder "${OUTPUT}" DIRECTORY)
set(object "${folder}/sortie.o")
file(REMOVE "${OUTPUT}" "${object}")
if(SYSTEM STREQUAL "Windows")
    # COFF has no partial link: a program that links its own curl or zlib takes the DLL there.
    message(STATUS "The static library keeps the symbols of what it contains: this system's linker cannot hide them")
    configure_file("${ARCHIVE}" "${OUTPUT}" COPYONLY)
elseif(SYSTEM MATCHES "Darwin|iOS|tvOS")
    isolate_mach_o()
else()
    isolate_elf()
endif()
file(REMOVE "${object}")
